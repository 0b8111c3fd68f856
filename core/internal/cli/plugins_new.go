package cli

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/agentarea/agentarea/sdk"
)

// templates holds the projects that `plugins new` writes: one folder per plugin kind, and common for
// the files that every kind has.
//
//go:embed templates
var templates embed.FS

// bundledSDK is the folder of a new project that holds its copy of the SDK.
const bundledSDK = "third_party/agentarea-sdk"

// pluginsNewCommand is agentarea plugins new.
type pluginsNewCommand struct {
	Kind   string `arg:"" enum:"agent,llm,files,mcp" help:"agent, llm, files or mcp."`
	Name   string `arg:"" help:"The plugin's name. Its program is called KIND-NAME." placeholder:"NAME"`
	Dir    string `help:"The folder to write the project to." placeholder:"DIR" unset:"a new folder KIND-NAME"`
	Module string `help:"The project's Go module path." placeholder:"PATH" unset:"example.com/KIND-NAME"`
	SDK    string `help:"A checkout of AgentArea. The project uses its SDK instead of a copy of this program's SDK." placeholder:"DIR" unset:"a copy in the project"`
}

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// Run writes the project. It returns an error if the folder exists and is not empty.
func (c *pluginsNewCommand) Run(out *output) error {
	if !pluginName.MatchString(c.Name) {
		return fmt.Errorf("NAME %q is not valid: use lower-case letters, digits and hyphens, and start with a letter", c.Name)
	}
	binary := c.Kind + "-" + c.Name
	dir, module := cmp.Or(c.Dir, binary), cmp.Or(c.Module, "example.com/"+binary)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("--dir %s: the folder is not empty; choose a new one", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sdkDir := "./" + bundledSDK
	if c.SDK != "" {
		var err error
		if sdkDir, err = checkoutSDK(c.SDK); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	values := map[string]string{
		"Kind": c.Kind, "Name": c.Name, "Binary": binary, "Module": module,
		"SDK": quoteModulePath(sdkDir), "Bundled": "",
	}
	if c.SDK == "" {
		values["Bundled"] = bundledSDK
		if err := writeSDK(filepath.Join(dir, filepath.FromSlash(bundledSDK))); err != nil {
			return err
		}
	}
	for _, from := range []string{"common", c.Kind} {
		if err := writeTemplates(dir, from, values); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out.stdout, `Created the plugin project %s. Next:

  cd %s
  go test ./...

Then build the program into one of plugin_dirs, and add the block from README.md to plugins.hcl.
`, dir, dir)
	return err
}

// checkoutSDK returns the absolute path of the SDK in a checkout of AgentArea.
func checkoutSDK(checkout string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(checkout, "sdk"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", fmt.Errorf("--sdk %s: the folder is not a checkout of AgentArea: %w", checkout, err)
	}
	return dir, nil
}

// quoteModulePath returns path in the form that go.mod requires: quoted if it has a character that separates words.
func quoteModulePath(path string) string {
	if strings.ContainsAny(path, " \t\"'`()[]{},") {
		return fmt.Sprintf("%q", path)
	}
	return path
}

// writeSDK writes the SDK's source to dir, without its tests.
func writeSDK(dir string) error {
	return fs.WalkDir(sdk.Source, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(dir, path), 0o750)
		case strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := sdk.Source.ReadFile(path)
		if err != nil {
			return err
		}
		return writeSource(filepath.Join(dir, path), text)
	})
}

// writeTemplates executes the templates of one folder and writes the results to dir.
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
		if err := writeSource(filepath.Join(dir, strings.TrimSuffix(e.Name(), ".tmpl")), []byte(out.String())); err != nil {
			return err
		}
	}
	return nil
}

func writeSource(name string, text []byte) error {
	return os.WriteFile(name, text, 0o644) //nolint:gosec // source code is not secret
}
