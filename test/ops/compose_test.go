package ops_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads compose.yaml as Docker does, with these environment variables.
func project(ctx context.Context, env []string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(checkout, "compose.yaml")},
		cli.WithWorkingDirectory(checkout), cli.WithEnv(env), cli.WithInterpolation(true), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

// variables returns the variables of .env.example, each with a value.
func variables(t *testing.T) (env []string) {
	t.Helper()
	for line := range strings.Lines(string(read(t, ".env.example"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			if value == "" {
				value = "s3cret-of-" + name
			}
			env = append(env, name+"="+value)
		}
	}
	return env
}

// compose.yaml is valid, its services have no privileges that they do not need, and their data is in
// volumes.
func TestCompose(t *testing.T) {
	t.Parallel()
	p, err := project(t.Context(), variables(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		if !pinned.MatchString(s.Image) && s.Build == nil {
			t.Errorf("service %s: image %s has no version", name, s.Image)
		}
		if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("service %s has capabilities or can get privileges: %v %v", name, s.CapDrop, s.SecurityOpt)
		}
		if s.MemLimit == 0 || s.PidsLimit == 0 || s.Restart == "" {
			t.Errorf("service %s has no limit of memory or processes, or no restart policy", name)
		}
		if s.Privileged || s.NetworkMode == "host" || s.Pid == "host" {
			t.Errorf("service %s uses the host's namespaces", name)
		}
	}
	server := p.Services["agentarea"]
	if !server.ReadOnly || len(server.CapAdd) > 0 || len(server.Ports) > 0 || server.ContainerName != "" {
		t.Errorf("service agentarea is writable, has capabilities, or has a fixed port or name: %+v", server)
	}
	if grace := server.StopGracePeriod; grace == nil || time.Duration(*grace) < 35*time.Second {
		t.Errorf("got stop_grace_period %v, which is too short for the drain", grace)
	}
	for _, v := range slices.Concat(server.Volumes, p.Services["proxy"].Volumes) {
		if _, err := os.Stat(v.Source); err != nil {
			t.Errorf("mounted file: %v", err)
		}
	}
	if got := slices.Sorted(maps.Keys(p.Volumes)); !slices.Equal(got, []string{"minio", "postgres"}) {
		t.Errorf("got volumes %v", got)
	}
	// The container gets each variable that plugins-s3.hcl reads.
	for _, m := range regexp.MustCompile(`env\("(\w+)"\)`).FindAllStringSubmatch(string(read(t, "examples/configs/plugins-s3.hcl")), -1) {
		if _, ok := server.Environment[m[1]]; !ok {
			t.Errorf("compose.yaml does not set %s, which plugins-s3.hcl reads", m[1])
		}
	}
}

// compose.yaml is invalid if one of its secrets is missing, and .env.example has no usable password.
func TestComposeRequiresSecrets(t *testing.T) {
	t.Parallel()
	all := variables(t)
	for _, name := range []string{"AGENTAREA_SECRET_KEY", "AGENTAREA_ADMIN_PASSWORD", "POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD", "S3_SECRET_KEY"} {
		without := slices.DeleteFunc(slices.Clone(all), func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if len(without) != len(all)-1 {
			t.Errorf(".env.example does not have %s", name)
		}
		if _, err := project(t.Context(), append(without, name+"=")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got error %v, want one with the name", name, err)
		}
	}
	for line := range strings.Lines(string(read(t, ".env.example"))) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); !strings.HasPrefix(name, "#") && secret.MatchString(name) && value != "" {
			t.Errorf(".env.example has a usable secret: %s", name)
		}
	}
}
