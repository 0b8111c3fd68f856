package app

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

type pluginTest struct {
	Binary string `arg:"" help:"The plugin's program." placeholder:"BINARY"`
	Script string `help:"A JSON file with the plugin's config and what the checks need to know, as docs/plugins.md says." placeholder:"FILE" see:"plugins.md"`
	Run    string `help:"Only the checks that match, as go test's -run has it." placeholder:"REGEXP" unset:"all"`
}

// run writes as go test -v does, to the process's own stdout, and then ends the
// process: with 1 when a check has failed.
func (c *pluginTest) run() error {
	command := plugintest.Command{}
	if c.Script != "" {
		text, err := os.ReadFile(c.Script)
		if err != nil {
			return fmt.Errorf("--script: %w", err)
		}
		if err := json.Unmarshal(text, &command); err != nil {
			return fmt.Errorf("--script %s: %w (write {\"config\": {…}, \"model\": \"…\"})", c.Script, err)
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
	flags := map[string]string{"test.v": "true", "test.run": "Plugin/" + c.Run}
	for name, value := range flags {
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	if err := flag.CommandLine.Parse(nil); err != nil {
		return err
	}
	testing.Main(regexp.MatchString, []testing.InternalTest{{Name: "Plugin", F: func(t *testing.T) { plugintest.Run(t, command) }}}, nil, nil)
	return nil // never reached
}
