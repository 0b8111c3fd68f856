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

// config is the stanza's config block.
type config struct {
	MaxMemory    string        `config:"max_memory" default:"2GiB" doc:"how much memory a server may have, with all the processes it starts; 0 is no limit"`
	MaxProcesses int           `config:"max_processes" default:"128" doc:"how many processes a server may have at once; 0 is no limit"`
	MaxFiles     int           `config:"max_open_files" default:"4096" doc:"how many files each process of a server may have open"`
	Grace        time.Duration `config:"grace" default:"2s" doc:"how long a server may take to end once its input is closed"`
	Namespace    bool          `config:"namespace" default:"true" doc:"whether each server gets a PID namespace of its own where the machine allows it, so that nothing it starts can be left behind"`
}

// limits are what a keeper enforces; 0 is none.
type limits struct {
	Memory    uint64 `json:"memory"`
	Processes int    `json:"processes"`
	Files     int    `json:"files"`
}

func (c *config) limits() (limits, error) {
	memory, err := humanize.ParseBytes(c.MaxMemory)
	var errs []error
	if err != nil {
		errs = append(errs, &sdk.ConfigError{Path: []string{"max_memory"}, Summary: "Not a size", Detail: "Write it as in 2GiB."})
	}
	if c.MaxProcesses < 0 {
		errs = append(errs, &sdk.ConfigError{Path: []string{"max_processes"}, Summary: "Less than 0", Detail: "Write 0 for no limit."})
	}
	if c.MaxFiles < 64 {
		errs = append(errs, &sdk.ConfigError{Path: []string{"max_open_files"}, Summary: "Less than 64", Detail: "Most servers need some hundreds."})
	}
	if c.Grace < 0 || c.Grace > time.Minute {
		errs = append(errs, &sdk.ConfigError{Path: []string{"grace"}, Summary: "Not between 0s and 1m"})
	}
	return limits{Memory: memory, Processes: c.MaxProcesses, Files: c.MaxFiles}, errors.Join(errs...)
}

// program is a server's config.
type program struct {
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	// Cwd is the folder to run in; the plugin's own unless set.
	Cwd string `json:"cwd"`
}

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(_ context.Context, raw json.RawMessage) error {
	_, err := parse(raw)
	return err
}

func parse(raw json.RawMessage) (*program, error) {
	var p program
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, badJSON(err)
	}
	errs := []error{p.checkCommand(), p.checkArgs(), p.checkEnv()}
	if p.Cwd != "" {
		if info, err := os.Stat(p.Cwd); err != nil || !info.IsDir() || !filepath.IsAbs(p.Cwd) {
			errs = append(errs, &sdk.ConfigError{Path: []string{"cwd"}, Summary: "Not the absolute path of a folder"})
		}
	}
	return &p, errors.Join(errs...)
}

// badJSON says which field is at fault.
func badJSON(err error) error {
	const known = "There are command, args, env and cwd."
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		want := "a text"
		switch {
		case strings.HasPrefix(wrong.Field, "args"):
			want = "a list of texts"
		case strings.HasPrefix(wrong.Field, "env"):
			want = "an object of texts"
		case wrong.Field == "":
			want = "an object"
		}
		var path []string
		if wrong.Field != "" {
			path = strings.Split(wrong.Field, ".")
		}
		return &sdk.ConfigError{Path: path, Summary: "Must be " + want, Detail: known}
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &sdk.ConfigError{Path: []string{strings.Trim(field, `"`)}, Summary: "Unknown field", Detail: known}
	}
	return &sdk.ConfigError{Summary: "Must be a JSON object", Detail: known}
}

func (p *program) checkCommand() error {
	if p.Command == "" {
		return &sdk.ConfigError{Path: []string{"command"}, Summary: "Missing", Detail: "Write the program to run, such as npx."}
	}
	if strings.ContainsRune(p.Command, 0) {
		return &sdk.ConfigError{Path: []string{"command"}, Summary: "Must not contain NUL"}
	}
	if _, err := exec.LookPath(p.Command); err != nil {
		return &sdk.ConfigError{
			Path: []string{"command"}, Summary: fmt.Sprintf("There is no program %q on the server's PATH", p.Command),
			Detail: "Install it, or write its absolute path; arguments belong in args.",
		}
	}
	return nil
}

func (p *program) checkArgs() error {
	for i, a := range p.Args {
		if strings.ContainsRune(a, 0) {
			return &sdk.ConfigError{Path: []string{"args", fmt.Sprint(i)}, Summary: "Must not contain NUL"}
		}
	}
	return nil
}

// Variables that make a program run other code than its own.
var (
	denied         = []string{"PATH", "NODE_OPTIONS", "NODE_PATH", "BASH_ENV", "ENV", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB", "JAVA_TOOL_OPTIONS", "SHELLOPTS", "IFS"}
	deniedPrefixes = []string{"LD_", "DYLD_", "PYTHON", "BASH_FUNC_"}
)

func (p *program) checkEnv() error {
	var errs []error
	for name, value := range p.Env {
		path := []string{"env", name}
		upper := strings.ToUpper(name)
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			errs = append(errs, &sdk.ConfigError{Path: path, Summary: "Not the name of a variable"})
		case slices.Contains(denied, upper) || slices.ContainsFunc(deniedPrefixes, func(prefix string) bool { return strings.HasPrefix(upper, prefix) }):
			errs = append(errs, &sdk.ConfigError{Path: path, Summary: "A variable that makes programs run other code", Detail: "Leave it out; a program that needs it can be started by a script of yours."})
		case strings.ContainsRune(value, 0):
			errs = append(errs, &sdk.ConfigError{Path: path, Summary: "Must not contain NUL"})
		}
	}
	return errors.Join(errs...)
}

// environment is what the program sees: little of the plugin's, and its own.
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
