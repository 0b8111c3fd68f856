// Package config reads the plugin configuration plugins.hcl and the settings of the server into typed
// structs.
//
// plugins.hcl is checked in two steps, because only a plugin knows the schema of its config block: Parse
// checks everything except the config blocks, and Block.Decode checks a config block against the schema
// of its plugin. Every error is one line of the form
//
//	plugins.hcl:18,5-12: summary; detail (remedy)
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// DefaultFile is the plugin configuration that is read unless a setting names another file.
const DefaultFile = "plugins.hcl"

// Kinds are the plugin kinds.
var Kinds = []string{"agent", "llm", "files", "mcp"}

// Config is the content of a plugins.hcl.
type Config struct {
	// Filename is the name of the file in errors.
	Filename string
	// FileBackend is the label of the files plugin that stores the files. The default is the only enabled
	// files plugin. It is empty if there is none.
	FileBackend string
	// PluginDirs are the absolute paths of the folders with plugin programs.
	PluginDirs []string
	// Blocks are the plugin blocks in the order of the file, including the disabled ones.
	Blocks []*Block
}

// Load reads and parses the file at path. The error wraps fs.ErrNotExist if the file does not exist, and
// is an *Error if its content is invalid.
func Load(path string) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the plugin configuration: %w", err)
	}
	return Parse(src, path)
}

// Parse parses the text of a plugins.hcl. Paths in it are relative to the folder of filename. The error is
// an *Error with all problems.
func Parse(src []byte, filename string) (*Config, error) {
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if diags.HasErrors() {
		var ps problems
		ps.addHCL(diags)
		return nil, ps.err()
	}
	dir, err := filepath.Abs(filepath.Dir(filename))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", filename, err)
	}
	p := &parser{dir: dir, scope: newScope(dir)}
	c := p.file(file.Body.(*hclsyntax.Body), filename)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parser parses one file and collects its problems.
type parser struct {
	problems
	dir   string
	scope *scope
	// requireChecksums is the value of require_checksums.
	requireChecksums bool
}

func (p *parser) file(body *hclsyntax.Body, filename string) *Config {
	c := &Config{Filename: filename}
	p.names(body, "plugins.hcl", []string{"file_backend", "plugin_dirs", "require_checksums"}, []string{"plugin"})
	p.attr(body, "file_backend", cty.String, func(v cty.Value) { c.FileBackend = v.AsString() })
	p.attr(body, "plugin_dirs", cty.List(cty.String), func(v cty.Value) {
		for _, d := range texts(v) {
			if !filepath.IsAbs(d) {
				d = filepath.Join(p.dir, d)
			}
			c.PluginDirs = append(c.PluginDirs, filepath.Clean(d))
		}
	})
	p.attr(body, "require_checksums", cty.Bool, func(v cty.Value) { p.requireChecksums = v.True() })
	for _, b := range body.Blocks {
		if b.Type != "plugin" {
			continue
		}
		if s := p.block(b); s != nil {
			p.unique(c.Blocks, s)
			c.Blocks = append(c.Blocks, s)
		}
	}
	p.fileBackend(c, body)
	return c
}

// attr evaluates an attribute and calls set with its value, unless it is missing, null or invalid.
func (p *parser) attr(body *hclsyntax.Body, name string, want cty.Type, set func(cty.Value)) {
	a := body.Attributes[name]
	if a == nil {
		return
	}
	v, ok := p.eval(a.Expr)
	if !ok || v.IsNull() {
		return
	}
	v, terr := strict(v, want)
	if terr != nil {
		p.wrongType(a, terr)
		return
	}
	set(v)
}

// eval evaluates an expression. If that fails, it adds a problem and returns false.
func (p *parser) eval(e hclsyntax.Expression) (cty.Value, bool) {
	if vars := e.Variables(); len(vars) > 0 {
		for _, v := range vars {
			p.add(v.SourceRange(), fmt.Sprintf("Unknown word %q", v.RootName()),
				`only env("NAME") and file("path") are allowed here`, "put text in quotes")
		}
		return cty.NilVal, false
	}
	v, diags := e.Value(p.scope.eval)
	p.addHCL(diags)
	return v, !diags.HasErrors()
}

// unique adds a problem if one of the blocks before s has its kind and label.
func (p *parser) unique(before []*Block, s *Block) {
	for _, b := range before {
		if b.Kind == s.Kind && b.Label == s.Label {
			p.add(s.header, fmt.Sprintf("Duplicate plugin %q %q", s.Kind, s.Label),
				fmt.Sprintf("line %d has the same kind and label", b.header.Start.Line), "give one of them another label")
			return
		}
	}
}

// fileBackend checks the file backend, or sets it if there is only one enabled files plugin.
func (p *parser) fileBackend(c *Config, body *hclsyntax.Body) {
	var enabled, all []string
	var last *Block
	for _, s := range c.Blocks {
		if s.Kind != "files" {
			continue
		}
		all = append(all, s.Label)
		if s.Enabled {
			enabled, last = append(enabled, s.Label), s
		}
	}
	a := body.Attributes["file_backend"]
	switch {
	case a == nil && len(enabled) == 1:
		c.FileBackend = last.Label
	case a == nil && len(enabled) > 1:
		p.add(last.header, "Missing file_backend",
			"there is more than one enabled files plugin: "+strings.Join(enabled, ", "),
			fmt.Sprintf("write file_backend = %q at the top of the file", enabled[0]))
	case a == nil || p.failed(a.SrcRange):
	case c.FileBackend == "":
		p.add(a.Expr.Range(), "Empty file backend",
			"file_backend is the label of a files plugin"+list("; available: ", enabled),
			"name one, or remove the line")
	case slices.Contains(enabled, c.FileBackend):
	case slices.Contains(all, c.FileBackend):
		p.add(a.Expr.Range(), fmt.Sprintf("File backend %q is disabled", c.FileBackend),
			"its block has enabled = false"+list("; enabled: ", enabled), "enable it, or name another one")
	default:
		remedy := fmt.Sprintf("add plugin \"files\" %q { … }", c.FileBackend)
		if near := nearest(c.FileBackend, all); near != "" {
			remedy = "did you mean " + near + "?"
		}
		p.add(a.Expr.Range(), fmt.Sprintf("Unknown file backend %q", c.FileBackend),
			"no files plugin has this label"+list("; available: ", all), remedy)
	}
}

// list returns prefix and the names, or "" if there are none.
func list(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return prefix + strings.Join(names, ", ")
}
