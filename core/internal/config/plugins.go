// Package config reads what an admin writes: plugins.hcl and the server's
// settings, as typed structs.
//
// plugins.hcl is read in two steps, because only a plugin knows what its config
// block may hold: Parse checks everything but the config blocks, and
// Stanza.Decode checks one of those once its plugin has told its schema. Every
// complaint is one line of the form
//
//	plugins.hcl:18,5-12: what is wrong; why (what to write instead)
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

// Kinds are the kinds of plugins.
var Kinds = []string{"agent", "llm", "files", "mcp"}

// Config is what plugins.hcl says.
type Config struct {
	// Filename is the file as errors name it.
	Filename string
	// FileBackend is the label of the files stanza that keeps the files. It is
	// the only enabled one when the file does not say; empty when there is none.
	FileBackend string
	// PluginDirs are absolute.
	PluginDirs []string
	// Stanzas are in the order of the file, the disabled ones too.
	Stanzas []*Stanza
}

// Load reads and parses the file at path. The error is an fs.ErrNotExist when
// there is none, and an *Error when its content is wrong.
func Load(path string) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the plugins file: %w", err)
	}
	return Parse(src, path)
}

// Parse parses the text of a plugins.hcl; paths in it are relative to
// filename's folder. The error is an *Error that names all that is wrong.
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

// parser gathers the problems of one file.
type parser struct {
	problems
	dir   string
	scope *scope
	// requireChecksums is what the file says of it.
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
		if s := p.stanza(b); s != nil {
			p.unique(c.Stanzas, s)
			c.Stanzas = append(c.Stanzas, s)
		}
	}
	p.fileBackend(c, body)
	return c
}

// attr evaluates an attribute, if it is there, and hands its value to set.
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

// eval evaluates an expression, or says what is wrong with it.
func (p *parser) eval(e hclsyntax.Expression) (cty.Value, bool) {
	if vars := e.Variables(); len(vars) > 0 {
		for _, v := range vars {
			p.add(v.SourceRange(), fmt.Sprintf("Unknown word %q", v.RootName()),
				`only env("NAME") and file("path") can stand here`, "put a text in quotes")
		}
		return cty.NilVal, false
	}
	v, diags := e.Value(p.scope.eval)
	p.addHCL(diags)
	return v, !diags.HasErrors()
}

func (p *parser) unique(before []*Stanza, s *Stanza) {
	for _, b := range before {
		if b.Kind == s.Kind && b.Label == s.Label {
			p.add(s.header, fmt.Sprintf("Duplicate plugin %q %q", s.Kind, s.Label),
				fmt.Sprintf("line %d has it already", b.header.Start.Line), "give one of them another label")
			return
		}
	}
}

// fileBackend checks the name, or fills it in when there is one choice only.
func (p *parser) fileBackend(c *Config, body *hclsyntax.Body) {
	var enabled, all []string
	var last *Stanza
	for _, s := range c.Stanzas {
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
		p.add(last.header, "Which files plugin keeps the files?",
			"there is more than one: "+strings.Join(enabled, ", "),
			fmt.Sprintf("write file_backend = %q at the top of the file", enabled[0]))
	case a == nil || p.failed(a.SrcRange):
	case c.FileBackend == "":
		p.add(a.Expr.Range(), "Empty file backend", "file_backend names a files plugin"+others(", there are: ", enabled),
			"name one, or take the line out")
	case slices.Contains(enabled, c.FileBackend):
	case slices.Contains(all, c.FileBackend):
		p.add(a.Expr.Range(), fmt.Sprintf("File backend %q is disabled", c.FileBackend),
			fmt.Sprintf("its stanza has enabled = false%s", others(", enabled: ", enabled)), "enable it, or name another")
	default:
		remedy := fmt.Sprintf("add plugin \"files\" %q { … }", c.FileBackend)
		if near := nearest(c.FileBackend, all); near != "" {
			remedy = "did you mean " + near + "?"
		}
		p.add(a.Expr.Range(), fmt.Sprintf("Unknown file backend %q", c.FileBackend),
			"no files plugin has this label"+others(", there are: ", all), remedy)
	}
}

func others(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return prefix + strings.Join(names, ", ")
}
