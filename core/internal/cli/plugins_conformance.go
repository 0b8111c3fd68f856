package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

// pluginsTestCommand is agentarea plugins test.
type pluginsTestCommand struct {
	Binary string `arg:"" help:"The plugin's program." placeholder:"BINARY"`
	Script string `help:"A JSON file with the plugin's config and the parameters of the checks." placeholder:"FILE" see:"plugins.md"`
	Match  string `name:"run" help:"Run only the checks that match, as in go test -run." placeholder:"REGEXP" unset:"all checks"`
}

// Run runs the conformance checks and then exits the process, with 1 if a check has failed. It prints
// to the stdout of the process in the format of go test -v.
func (c *pluginsTestCommand) Run() error {
	command := plugintest.Command{}
	if c.Script != "" {
		text, err := os.ReadFile(c.Script)
		if err != nil {
			return fmt.Errorf("--script: %w", err)
		}
		if err := json.Unmarshal(text, &command); err != nil {
			return fmt.Errorf("--script %s: %w (expected a JSON object such as {\"config\": {…}, \"model\": \"…\"})",
				c.Script, err)
		}
	}
	path, err := filepath.Abs(c.Binary)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("BINARY: %w", err)
	}
	command.Path = path
	testing.Init()
	flags := map[string]string{"test.v": "true", "test.run": "Plugin/" + c.Match}
	for name, value := range flags {
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	if err := flag.CommandLine.Parse(nil); err != nil {
		return err
	}
	testing.Main(regexp.MatchString,
		[]testing.InternalTest{{Name: "Plugin", F: func(t *testing.T) { plugintest.Run(t, command) }}}, nil, nil)
	return nil // never reached
}
