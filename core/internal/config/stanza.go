package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Stanza is one plugin block.
type Stanza struct {
	Kind, Label string
	// Command is a file's name without a folder.
	Command string
	Args    []string
	// Enabled is false for a stanza without a process. Of such a one nothing but
	// the kind and the label is read.
	Enabled bool
	// EnableVariable is the environment variable that the enabled attribute reads;
	// empty if it reads none.
	EnableVariable string
	// Models are patterns of the model names that an llm stanza serves.
	Models []string
	// MaxConcurrency is how many completions of an llm stanza may be under way at
	// once; 0 is no limit. Retries is how often one that failed is asked again.
	MaxConcurrency, Retries int
	// PassEnv names variables of the server's environment that the process gets.
	PassEnv []string
	// Env are variables that the process gets besides.
	Env map[string]string
	// SHA256 pins the binary, in lower-case hex; empty for none.
	SHA256   string
	AutoMTLS bool
	// Unpinned says that the stanza lacks the sha256 that require_checksums wants.
	Unpinned bool
	// Hash changes with everything that the stanza evaluates to, secrets too: it
	// is for comparisons, never to be printed.
	Hash string

	// header is that of `plugin "llm" "openai"`, attrs are those of the names.
	header hcl.Range
	attrs  map[string]hcl.Range
	// config is nil when the block was left out.
	config *hclsyntax.Block
	scope  *scope

	mu      sync.Mutex
	secrets []string
}

// Name is the stanza's kind and label: llm/openai.
func (s *Stanza) Name() string { return s.Kind + "/" + s.Label }

// Problem is an *Error that points at one of the stanza's attributes, or at its
// header when the attribute is not written. "kind" and "label" are the header.
func (s *Stanza) Problem(attr, summary, detail, remedy string) error {
	rng, ok := s.attrs[attr]
	if !ok {
		rng = s.header
	}
	var ps problems
	ps.add(rng, summary, detail, remedy)
	return ps.err()
}

const (
	// defaultRetries is how often a completion that failed is asked again.
	defaultRetries = 2
	// maxCount bounds max_concurrency and retries.
	maxCount = 10_000
)

var (
	labelForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	envForm   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	shaForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

var stanzaAttrs = []string{"command", "args", "enabled", "models", "pass_env", "env", "sha256", "auto_mtls", "max_concurrency", "retries"}

// stanza reads a plugin block; nil when it has no usable kind and label.
func (p *parser) stanza(b *hclsyntax.Block) *Stanza {
	if len(b.Labels) != 2 {
		p.add(b.DefRange(), "A plugin has a kind and a label", fmt.Sprintf("here are %d names", len(b.Labels)),
			`write plugin "llm" "openai" { … }`)
		return nil
	}
	s := &Stanza{
		Kind: b.Labels[0], Label: b.Labels[1], Enabled: true, AutoMTLS: true, Retries: defaultRetries,
		header: b.DefRange(), attrs: map[string]hcl.Range{}, scope: p.scope,
	}
	if !slices.Contains(Kinds, s.Kind) {
		remedy := ""
		if near := nearest(s.Kind, Kinds); near != "" {
			remedy = "did you mean " + near + "?"
		}
		p.add(b.LabelRanges[0], fmt.Sprintf("Unknown kind %q", s.Kind), "the kinds are "+strings.Join(Kinds, ", "), remedy)
	}
	if !labelForm.MatchString(s.Label) || len(s.Label) > 64 {
		p.add(b.LabelRanges[1], fmt.Sprintf("Bad label %q", s.Label),
			"a label is of lower-case letters, digits, - and _, begins with a letter and has at most 64 of them", "")
	}
	p.names(b.Body, "a plugin", stanzaAttrs, []string{"config"})
	for name, a := range b.Body.Attributes {
		s.attrs[name] = a.NameRange
	}
	p.configBlock(s, b.Body)
	s.EnableVariable = enableVariable(b.Body)
	p.attr(b.Body, "enabled", cty.Bool, func(v cty.Value) { s.Enabled = v.True() })
	if s.Enabled {
		p.settings(s, b.Body)
		s.Unpinned = p.requireChecksums && s.SHA256 == ""
	}
	s.Hash = p.hash(s)
	return s
}

func (p *parser) configBlock(s *Stanza, body *hclsyntax.Body) {
	for _, c := range body.Blocks {
		switch {
		case c.Type != "config":
		case s.config != nil:
			p.add(c.TypeRange, "Duplicate config block", fmt.Sprintf("line %d has one already", s.config.TypeRange.Start.Line), "join them")
		case len(c.Labels) > 0:
			p.add(c.LabelRanges[0], "A config block has no label", "", "write config { … }")
		default:
			s.config = c
		}
	}
}

func (p *parser) settings(s *Stanza, body *hclsyntax.Body) {
	list := cty.List(cty.String)
	p.attr(body, "command", cty.String, func(v cty.Value) { s.Command = v.AsString() })
	p.attr(body, "args", list, func(v cty.Value) { s.Args = texts(v) })
	p.attr(body, "models", list, func(v cty.Value) { s.Models = texts(v) })
	p.attr(body, "pass_env", list, func(v cty.Value) { s.PassEnv = texts(v) })
	p.attr(body, "sha256", cty.String, func(v cty.Value) { s.SHA256 = strings.ToLower(v.AsString()) })
	p.attr(body, "auto_mtls", cty.Bool, func(v cty.Value) { s.AutoMTLS = v.True() })
	p.attr(body, "env", cty.Map(cty.String), func(v cty.Value) {
		s.Env = map[string]string{}
		for k, e := range v.AsValueMap() {
			s.Env[k] = e.AsString()
		}
	})
	p.count(s, body, "max_concurrency", 1, &s.MaxConcurrency)
	p.count(s, body, "retries", 0, &s.Retries)
	p.checkCommand(s, body)
	p.checkModels(s, body)
	p.checkEnvironment(s, body)
	if a := body.Attributes["sha256"]; a != nil && s.SHA256 != "" && !shaForm.MatchString(s.SHA256) {
		p.add(a.Expr.Range(), "Bad sha256", "it is 64 hexadecimal digits", "sha256sum prints them")
	}
}

func (p *parser) checkCommand(s *Stanza, body *hclsyntax.Body) {
	a := body.Attributes["command"]
	switch {
	case a == nil:
		p.add(s.header, "Missing command", fmt.Sprintf("plugin %q %q names no program", s.Kind, s.Label), `add command = "…"`)
	case p.failed(a.SrcRange):
	case s.Command == "" || s.Command == "." || s.Command == "..":
		p.add(a.Expr.Range(), "Bad command", "it is the name of a file", "")
	case strings.ContainsAny(s.Command, "/\\\x00"):
		p.add(a.Expr.Range(), "Bad command", "it is the name of a file beside the server's binary or in plugin_dirs, not a path",
			"write the name, and add its folder to plugin_dirs")
	}
}

func (p *parser) checkModels(s *Stanza, body *hclsyntax.Body) {
	a := body.Attributes["models"]
	if a == nil {
		return
	}
	if s.Kind != "llm" {
		p.add(a.NameRange, "Only an llm plugin has models", fmt.Sprintf("this is plugin %q %q", s.Kind, s.Label), "remove the line")
	}
	for i, m := range s.Models {
		if issue := checkPattern(m); issue != "" {
			p.add(inside(a.Expr, []string{fmt.Sprint(i)}), "Bad pattern", issue, "")
		}
	}
}

// count reads a whole number that only an llm stanza has.
func (p *parser) count(s *Stanza, body *hclsyntax.Body, name string, least int, into *int) {
	a := body.Attributes[name]
	if a == nil {
		return
	}
	if s.Kind != "llm" {
		p.add(a.NameRange, fmt.Sprintf("Only an llm plugin has %s", name), fmt.Sprintf("this is plugin %q %q", s.Kind, s.Label), "remove the line")
		return
	}
	p.attr(body, name, cty.Number, func(v cty.Value) {
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != big.Exact || n < int64(least) || n > maxCount {
			p.add(a.Expr.Range(), fmt.Sprintf("Bad %s", name), fmt.Sprintf("it is a whole number from %d to %d", least, maxCount), "")
			return
		}
		*into = int(n)
	})
}

func (p *parser) checkEnvironment(s *Stanza, body *hclsyntax.Body) {
	for i, name := range s.PassEnv {
		if !envForm.MatchString(name) {
			p.add(inside(body.Attributes["pass_env"].Expr, []string{fmt.Sprint(i)}),
				fmt.Sprintf("Bad variable name %q", name), "pass_env names variables of the server's environment", "")
		}
	}
	for name, value := range s.Env {
		if !envForm.MatchString(name) || strings.Contains(value, "\x00") {
			p.add(inside(body.Attributes["env"].Expr, []string{name}),
				fmt.Sprintf("Bad variable %q", name), "a name is of letters, digits and _, a value has no NUL", "")
		}
	}
}

// hash evaluates the config block too, so that its expressions are found wrong
// before a process is started.
func (p *parser) hash(s *Stanza) string {
	content := []any{s.Kind, s.Label, s.Enabled}
	if s.Enabled {
		content = append(content, s.Command, s.Args, s.Models, s.PassEnv, s.Env, s.SHA256, s.AutoMTLS, s.MaxConcurrency, s.Retries, s.Unpinned)
		if s.config != nil {
			content = append(content, p.evaluated(s.config.Body))
		}
	}
	b, _ := json.Marshal(content) // strings and maps of strings
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// evaluated is what a body says, without a schema.
func (p *parser) evaluated(body *hclsyntax.Body) []any {
	attrs := map[string]json.RawMessage{}
	for name, a := range body.Attributes {
		v, ok := p.eval(a.Expr)
		if !ok {
			continue
		}
		b, err := ctyjson.Marshal(v, cty.DynamicPseudoType)
		if err != nil {
			p.add(a.NameRange, "Bad value", err.Error(), "")
			continue
		}
		attrs[name] = b
	}
	content := []any{attrs}
	for _, b := range body.Blocks {
		content = append(content, b.Type, b.Labels, p.evaluated(b.Body))
	}
	return content
}
