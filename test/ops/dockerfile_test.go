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

// checkout is the path of the repository's root.
var checkout = filepath.Join("..", "..")

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// dockerfile parses the Dockerfile as BuildKit does. Warnings of its linter are errors.
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

// commands returns the commands of type T in the last stage.
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

// The image runs as an unprivileged user, is built from pinned versions, contains no secret, stops
// on SIGTERM, and has an init that reaps processes.
func TestImage(t *testing.T) {
	t.Parallel()
	stages, _ := dockerfile(t)
	for _, s := range stages {
		if !pinned.MatchString(s.BaseName) {
			t.Errorf("FROM %s has no version", s.BaseName)
		}
		for _, c := range commands[*instructions.EnvCommand](s) {
			for _, e := range c.Env {
				if secret.MatchString(e.Key) {
					t.Errorf("ENV %s has a secret that stays in the image", e.Key)
				}
			}
		}
		for _, c := range commands[*instructions.ArgCommand](s) {
			for _, a := range c.Args {
				if secret.MatchString(a.Key) {
					t.Errorf("ARG %s has a secret that stays in the image's history", a.Key)
				}
			}
		}
	}
	image := stages[len(stages)-1]
	user := commands[*instructions.UserCommand](image)
	if len(user) == 0 || !regexp.MustCompile(`^[1-9]\d*(:|$)`).MatchString(user[len(user)-1].User) {
		t.Errorf("got USER %v, want a number other than 0, which runAsNonRoot of Kubernetes needs", user)
	}
	entry := commands[*instructions.EntrypointCommand](image)
	if len(entry) != 1 || entry[0].PrependShell || strings.Join(entry[0].CmdLine, " ") != "tini -- agentarea" {
		t.Errorf("got ENTRYPOINT %v, want tini -- agentarea without a shell", entry)
	}
	stop := commands[*instructions.StopSignalCommand](image)
	if len(stop) != 1 || stop[0].Signal != "SIGTERM" {
		t.Errorf("got STOPSIGNAL %v", stop)
	}
	health := commands[*instructions.HealthCheckCommand](image)
	if len(health) != 1 || strings.Join(health[0].Health.Test, " ") != "CMD agentarea health" {
		t.Errorf("got HEALTHCHECK %v", health)
	}
	if n := len(commands[*instructions.VolumeCommand](image)) + len(commands[*instructions.ExposeCommand](image)); n != 2 {
		t.Errorf("got %d VOLUME and EXPOSE commands", n)
	}
}
