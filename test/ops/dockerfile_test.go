package ops_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// checkout is the repository's root.
var checkout = filepath.Join("..", "..")

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// dockerfile reads the Dockerfile as BuildKit does, its linter's findings being errors.
func dockerfile(t *testing.T) (stages []instructions.Stage, parsed *parser.Result) {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(read(t, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		t.Errorf("Dockerfile: %s: %s", rule, message)
	}})
	stages, _, err = instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return stages, parsed
}

// commands are the image's own of a type.
func commands[T instructions.Command](stage instructions.Stage) (found []T) {
	for _, c := range stage.Commands {
		if c, ok := c.(T); ok {
			found = append(found, c)
		}
	}
	return found
}

var (
	pinned = regexp.MustCompile(`^[a-z0-9./-]+:[\w.-]*\d+\.\d+[\w.-]*$|^[a-z0-9./-]+:RELEASE\.\S+$`)
	secret = regexp.MustCompile(`(?i)key|secret|password|token|credential|database_url`)
)

// TestImage: the image's user is nobody of importance, it is built from named
// versions, holds no secret, stops by SIGTERM and has an init that reaps.
func TestImage(t *testing.T) {
	t.Parallel()
	stages, _ := dockerfile(t)
	for _, s := range stages {
		if !pinned.MatchString(s.BaseName) {
			t.Errorf("FROM %s names no version", s.BaseName)
		}
		for _, c := range commands[*instructions.EnvCommand](s) {
			for _, e := range c.Env {
				if secret.MatchString(e.Key) {
					t.Errorf("ENV %s stays in the image", e.Key)
				}
			}
		}
		for _, c := range commands[*instructions.ArgCommand](s) {
			for _, a := range c.Args {
				if secret.MatchString(a.Key) {
					t.Errorf("ARG %s stays in the image's history", a.Key)
				}
			}
		}
	}
	image := stages[len(stages)-1]
	user := commands[*instructions.UserCommand](image)
	if len(user) == 0 || !regexp.MustCompile(`^[1-9]\d*(:|$)`).MatchString(user[len(user)-1].User) {
		t.Errorf("USER must be a number other than 0, for Kubernetes' runAsNonRoot: %v", user)
	}
	entry := commands[*instructions.EntrypointCommand](image)
	if len(entry) != 1 || entry[0].PrependShell || strings.Join(entry[0].CmdLine, " ") != "tini -- agentarea" {
		t.Errorf("ENTRYPOINT is not tini -- agentarea, without a shell: %v", entry)
	}
	stop := commands[*instructions.StopSignalCommand](image)
	if len(stop) != 1 || stop[0].Signal != "SIGTERM" {
		t.Errorf("STOPSIGNAL: %v", stop)
	}
	health := commands[*instructions.HealthCheckCommand](image)
	if len(health) != 1 || strings.Join(health[0].Health.Test, " ") != "CMD agentarea health" {
		t.Errorf("HEALTHCHECK: %v", health)
	}
	if n := len(commands[*instructions.VolumeCommand](image)) + len(commands[*instructions.ExposeCommand](image)); n != 2 {
		t.Errorf("VOLUME and EXPOSE: %d", n)
	}
}
