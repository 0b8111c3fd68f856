package app

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// templates are the projects that plugins new writes: a folder a kind.
//
//go:embed templates
var templates embed.FS

type pluginNew struct {
	Kind   string `arg:"" enum:"agent,llm,files,mcp" help:"agent, llm, files or mcp."`
	Name   string `arg:"" help:"The plugin's name; its program becomes KIND-NAME." placeholder:"NAME"`
	Dir    string `help:"Where the project is written." placeholder:"DIR" unset:"a new folder KIND-NAME"`
	Module string `help:"The project's Go module." placeholder:"PATH" unset:"example.com/KIND-NAME"`
	SDK    string `help:"A checkout of AgentArea to build against, instead of the released module." placeholder:"DIR" unset:"the released module"`
}

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// run writes nothing over what is there.
func (c *pluginNew) run(stdout io.Writer) error {
	if !pluginName.MatchString(c.Name) {
		return fmt.Errorf("NAME %q: write lower-case letters, digits and hyphens, a letter first", c.Name)
	}
	binary := c.Kind + "-" + c.Name
	dir, module := c.Dir, c.Module
	if dir == "" {
		dir = binary
	}
	if module == "" {
		module = "example.com/" + binary
	}
	if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
		return fmt.Errorf("--dir %s: the folder is there already, and not empty", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	values := map[string]string{"Kind": c.Kind, "Name": c.Name, "Binary": binary, "Module": module, "Version": Version, "SDK": ""}
	if c.SDK != "" {
		abs, err := filepath.Abs(c.SDK)
		if err != nil {
			return err
		}
		values["SDK"] = abs
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, from := range []string{"common", c.Kind} {
		if err := writeTemplates(dir, from, values); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "%s is written. Next:\n\n  cd %s\n  go mod tidy\n  go test ./...\n\nThen build it into one of plugin_dirs, and add the stanza of its README to plugins.hcl.\n", dir, dir)
	return err
}

func writeTemplates(dir, from string, values map[string]string) error {
	entries, err := templates.ReadDir("templates/" + from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		t, err := template.New(e.Name()).Delims("[[", "]]").ParseFS(templates, "templates/"+from+"/"+e.Name())
		if err != nil {
			return err
		}
		var out strings.Builder
		if err := t.Execute(&out, values); err != nil {
			return err
		}
		name := filepath.Join(dir, strings.TrimSuffix(e.Name(), ".tmpl"))
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil { //nolint:gosec // source text, no secret
			return err
		}
	}
	return nil
}
