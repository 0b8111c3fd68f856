package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/agentarea/agentarea/sdk"
)

// config is the config block in plugins.hcl.
type config struct {
	MaxMemory    string        `config:"max_memory" default:"2GiB" doc:"maximum memory of an MCP server, including the processes that it starts; 0 for no limit"`
	MaxProcesses int           `config:"max_processes" default:"128" doc:"maximum number of processes of an MCP server; 0 for no limit"`
	MaxFiles     int           `config:"max_open_files" default:"4096" doc:"maximum number of open files of each process of an MCP server"`
	Grace        time.Duration `config:"grace" default:"2s" doc:"how long an MCP server may take to exit after its standard input is closed, before it is killed"`
	Namespace    bool          `config:"namespace" default:"true" doc:"whether each MCP server runs in its own PID namespace, if the system allows it, so that no process can outlive the server"`
}

// limits are the limits that a shim enforces. 0 means no limit.
type limits struct {
	Memory    uint64 `json:"memory"`
	Processes int    `json:"processes"`
	Files     int    `json:"files"`
}

// limits validates the config and returns its limits.
func (c *config) limits() (limits, error) {
	memory, err := humanize.ParseBytes(c.MaxMemory)
	var errs []error
	if err != nil {
		errs = append(errs, &sdk.ConfigError{
			Path: []string{"max_memory"}, Summary: "Must be a size", Detail: "For example 2GiB. Use 0 for no limit.",
		})
	}
	if c.MaxProcesses < 0 {
		errs = append(errs, &sdk.ConfigError{
			Path: []string{"max_processes"}, Summary: "Must not be negative", Detail: "Use 0 for no limit.",
		})
	}
	if c.MaxFiles < 64 {
		errs = append(errs, &sdk.ConfigError{
			Path: []string{"max_open_files"}, Summary: "Must be at least 64", Detail: "Most servers need a few hundred.",
		})
	}
	if c.Grace < 0 || c.Grace > time.Minute {
		errs = append(errs, &sdk.ConfigError{Path: []string{"grace"}, Summary: "Must be from 0s to 1m"})
	}
	return limits{Memory: memory, Processes: c.MaxProcesses, Files: c.MaxFiles}, errors.Join(errs...)
}

// program is the config of an MCP server.
type program struct {
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	// Cwd is the working directory. The default is the plugin's.
	Cwd string `json:"cwd"`
}

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(_ context.Context, raw json.RawMessage) error {
	_, err := parseProgram(raw)
	return err
}

// parseProgram decodes and validates the config of an MCP server. It returns all errors at
// once.
func parseProgram(raw json.RawMessage) (*program, error) {
	var p program
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, jsonError(err)
	}
	errs := []error{p.checkCommand(), p.checkArgs(), p.checkEnv()}
	if p.Cwd != "" {
		if info, err := os.Stat(p.Cwd); err != nil || !info.IsDir() || !filepath.IsAbs(p.Cwd) {
			errs = append(errs, &sdk.ConfigError{
				Path: []string{"cwd"}, Summary: "Must be the absolute path of an existing folder",
			})
		}
	}
	return &p, errors.Join(errs...)
}

// jsonError returns a ConfigError for an error of encoding/json, with the path of the
// field.
func jsonError(err error) error {
	const allowedFields = "Allowed fields: command, args, env, cwd."
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) {
		want := "a string"
		switch {
		case strings.HasPrefix(typeErr.Field, "args"):
			want = "a list of strings"
		case strings.HasPrefix(typeErr.Field, "env"):
			want = "an object with string values"
		case typeErr.Field == "":
			want = "an object"
		}
		var path []string
		if typeErr.Field != "" {
			path = strings.Split(typeErr.Field, ".")
		}
		return &sdk.ConfigError{Path: path, Summary: "Must be " + want, Detail: allowedFields}
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &sdk.ConfigError{Path: []string{strings.Trim(field, `"`)}, Summary: "Unknown field", Detail: allowedFields}
	}
	return &sdk.ConfigError{Summary: "Must be a JSON object", Detail: allowedFields}
}

// checkCommand returns an error if the command cannot be run.
func (p *program) checkCommand() error {
	if p.Command == "" {
		return &sdk.ConfigError{
			Path: []string{"command"}, Summary: "Missing", Detail: "Set it to the program to run, such as npx.",
		}
	}
	if strings.ContainsRune(p.Command, 0) {
		return &sdk.ConfigError{Path: []string{"command"}, Summary: "Must not contain a NUL character"}
	}
	if _, err := exec.LookPath(p.Command); err != nil {
		return &sdk.ConfigError{
			Path: []string{"command"}, Summary: fmt.Sprintf("Program %q was not found on the server's PATH", p.Command),
			Detail: "Install it, or use its absolute path. Arguments belong in args.",
		}
	}
	return nil
}

// checkArgs returns an error if an argument cannot be passed to a program.
func (p *program) checkArgs() error {
	for i, a := range p.Args {
		if strings.ContainsRune(a, 0) {
			return &sdk.ConfigError{Path: []string{"args", fmt.Sprint(i)}, Summary: "Must not contain a NUL character"}
		}
	}
	return nil
}

// Environment variables that can make a program run other code.
var (
	deniedVariables = []string{
		"PATH", "NODE_OPTIONS", "NODE_PATH", "BASH_ENV", "ENV", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB",
		"JAVA_TOOL_OPTIONS", "SHELLOPTS", "IFS",
	}
	deniedPrefixes = []string{"LD_", "DYLD_", "PYTHON", "BASH_FUNC_"}
)

// checkEnv returns an error for each variable that is invalid or not allowed.
func (p *program) checkEnv() error {
	var errs []error
	for name, value := range p.Env {
		path := []string{"env", name}
		upper := strings.ToUpper(name)
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			errs = append(errs, &sdk.ConfigError{Path: path, Summary: "Invalid name of an environment variable"})
		case slices.Contains(deniedVariables, upper),
			slices.ContainsFunc(deniedPrefixes, func(prefix string) bool { return strings.HasPrefix(upper, prefix) }):
			errs = append(errs, &sdk.ConfigError{
				Path: path, Summary: "Not allowed, because this variable can make a program run other code",
				Detail: "Remove it, or set it in a script that starts the program.",
			})
		case strings.ContainsRune(value, 0):
			errs = append(errs, &sdk.ConfigError{Path: path, Summary: "Must not contain a NUL character"})
		}
	}
	return errors.Join(errs...)
}

// environment returns the environment of the program: a few variables of the plugin, and
// those of the config.
func (p *program) environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok && p.Env[name] == "" {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range p.Env {
		env = append(env, name+"="+value)
	}
	return env
}
