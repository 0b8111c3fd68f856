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

	"github.com/dustin/go-humanize/english"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Block is a plugin block of plugins.hcl.
type Block struct {
	Kind, Label string
	// Command is the name of the program file, without a folder.
	Command string
	Args    []string
	// Enabled is false for a plugin without a process. Of such a block only the kind, the label, EnableVariable and
	// DisabledModels are read.
	Enabled bool
	// EnableVariable is the environment variable that the enabled attribute reads, or "".
	EnableVariable string
	// Models are patterns of the models that an llm plugin serves.
	Models []string
	// DisabledModels are the patterns of a disabled llm plugin, if they are literals. They are for messages only.
	DisabledModels []string
	// MaxConcurrency is the maximum number of concurrent completions of an llm plugin; 0 means no limit.
	// Retries is the maximum number of retries of a failed completion.
	MaxConcurrency, Retries int
	// MaxMemory is the maximum memory of the process and its children in bytes; 0 means no limit.
	MaxMemory Size
	// LogLevel is the lowest level that is logged: debug, info, warn or error. It is empty for the server's.
	LogLevel string
	// PassEnv has the names of the variables of the server's environment that are passed to the process.
	PassEnv []string
	// Env has additional environment variables of the process.
	Env map[string]string
	// SHA256 is the expected checksum of the program in lower-case hex, or empty.
	SHA256   string
	AutoMTLS bool
	// ChecksumRequired is the value of require_checksums if the block is enabled.
	ChecksumRequired bool
	// Unpinned means that the block has no sha256 although require_checksums is true.
	Unpinned bool
	// Hash changes whenever a value in the block changes, including secrets. It is for comparisons and
	// must not be printed.
	Hash string

	// header is the position of `plugin "llm" "openai"`; attrs has the positions of the attribute names.
	header hcl.Range
	attrs  map[string]hcl.Range
	// config is the config block, or nil if there is none.
	config *hclsyntax.Block
	scope  *scope

	// secrets are the secret values of the last decoded config.
	mu      sync.Mutex
	secrets []string
}

// Name returns the kind and the label: llm/openai.
func (s *Block) Name() string { return s.Kind + "/" + s.Label }

// Problem returns an *Error at the position of an attribute, or at the header of the block if the block
// does not have the attribute. "kind" and "label" are in the header.
func (s *Block) Problem(attr, summary, detail, remedy string) error {
	rng, ok := s.attrs[attr]
	if !ok {
		rng = s.header
	}
	var ps problems
	ps.add(rng, summary, detail, remedy)
	return ps.err()
}

const (
	// defaultRetries is the default of Retries.
	defaultRetries = 2
	// maxCount is the maximum of max_concurrency and retries.
	maxCount = 10_000
)

var (
	labelForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	envForm   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	shaForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

var blockAttrs = []string{
	"command", "args", "enabled", "models", "pass_env", "env", "sha256",
	"auto_mtls", "max_concurrency", "retries", "max_memory", "log_level",
}

// block parses a plugin block. It returns nil if the block does not have two labels.
func (p *parser) block(b *hclsyntax.Block) *Block {
	if len(b.Labels) != 2 {
		p.add(b.DefRange(), "A plugin block needs a kind and a label", "it has "+english.Plural(len(b.Labels), "label", ""),
			`write plugin "llm" "openai" { … }`)
		return nil
	}
	s := &Block{
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
		p.add(b.LabelRanges[1], fmt.Sprintf("Invalid label %q", s.Label),
			"a label contains only lower-case letters, digits, - and _, starts with a letter and has at most 64 characters", "")
	}
	p.names(b.Body, "a plugin block", blockAttrs, []string{"config"})
	for name, a := range b.Body.Attributes {
		s.attrs[name] = a.NameRange
	}
	p.configBlock(s, b.Body)
	s.EnableVariable = enableVariable(b.Body)
	p.attr(b.Body, "enabled", cty.Bool, func(v cty.Value) { s.Enabled = v.True() })
	if s.Enabled {
		p.settings(s, b.Body)
		s.ChecksumRequired = p.requireChecksums
		s.Unpinned = p.requireChecksums && s.SHA256 == ""
	} else {
		s.DisabledModels = literalTexts(b.Body.Attributes["models"])
	}
	s.Hash = p.hash(s)
	return s
}

func (p *parser) configBlock(s *Block, body *hclsyntax.Body) {
	for _, c := range body.Blocks {
		switch {
		case c.Type != "config":
		case s.config != nil:
			p.add(c.TypeRange, "Duplicate config block",
				fmt.Sprintf("line %d has another one", s.config.TypeRange.Start.Line), "merge them")
		case len(c.Labels) > 0:
			p.add(c.LabelRanges[0], "A config block has no label", "", "write config { … }")
		default:
			s.config = c
		}
	}
}

// settings parses the attributes of an enabled plugin.
func (p *parser) settings(s *Block, body *hclsyntax.Body) {
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
	p.maxMemory(s, body)
	p.attr(body, "log_level", cty.String, func(v cty.Value) { s.LogLevel = v.AsString() })
	p.checkLogLevel(s, body)
	p.checkCommand(s, body)
	p.checkModels(s, body)
	p.checkEnvironment(s, body)
	if a := body.Attributes["sha256"]; a != nil && s.SHA256 != "" && !shaForm.MatchString(s.SHA256) {
		p.add(a.Expr.Range(), "Invalid sha256", "it must have 64 hexadecimal digits", "run agentarea plugins lock to set it")
	}
}

func (p *parser) checkCommand(s *Block, body *hclsyntax.Body) {
	a := body.Attributes["command"]
	switch {
	case a == nil:
		p.add(s.header, "Missing command", fmt.Sprintf("plugin %q %q has no program", s.Kind, s.Label), `add command = "…"`)
	case p.failed(a.SrcRange):
	case s.Command == "" || s.Command == "." || s.Command == "..":
		p.add(a.Expr.Range(), "Invalid command", "it must be the name of a file", "")
	case strings.ContainsAny(s.Command, "/\\\x00"):
		p.add(a.Expr.Range(), "Invalid command",
			"it must be the name of a file in the server's folder or in plugin_dirs, not a path",
			"write the name, and add the folder to plugin_dirs")
	}
}

func (p *parser) checkModels(s *Block, body *hclsyntax.Body) {
	a := body.Attributes["models"]
	if a == nil {
		return
	}
	if s.Kind != "llm" {
		p.add(a.NameRange, "Only an llm plugin has models",
			fmt.Sprintf("this is plugin %q %q", s.Kind, s.Label), "remove the line")
	}
	for i, m := range s.Models {
		if issue := checkPattern(m); issue != "" {
			p.add(inside(a.Expr, []string{fmt.Sprint(i)}), "Invalid pattern", issue, "")
		}
	}
}

// count parses an integer attribute that only llm plugins have.
func (p *parser) count(s *Block, body *hclsyntax.Body, name string, minimum int, into *int) {
	a := body.Attributes[name]
	if a == nil {
		return
	}
	if s.Kind != "llm" {
		p.add(a.NameRange, fmt.Sprintf("Only an llm plugin has %s", name),
			fmt.Sprintf("this is plugin %q %q", s.Kind, s.Label), "remove the line")
		return
	}
	p.attr(body, name, cty.Number, func(v cty.Value) {
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != big.Exact || n < int64(minimum) || n > maxCount {
			p.add(a.Expr.Range(), fmt.Sprintf("Invalid %s", name),
				fmt.Sprintf("it must be an integer from %d to %d", minimum, maxCount), "")
			return
		}
		*into = int(n)
	})
}

// minMemory is the minimum of max_memory. A Go plugin needs about half of it to start.
const minMemory = 32_000_000

func (p *parser) maxMemory(s *Block, body *hclsyntax.Body) {
	a := body.Attributes["max_memory"]
	p.attr(body, "max_memory", cty.String, func(v cty.Value) {
		switch err := s.MaxMemory.UnmarshalText([]byte(v.AsString())); {
		case err != nil:
			p.add(a.Expr.Range(), "Invalid max_memory", err.Error(), "")
		case s.MaxMemory < minMemory:
			p.add(a.Expr.Range(), "Invalid max_memory", "it must be at least 32MB", "")
		}
	})
}

// logLevels are the values of log_level.
var logLevels = []string{"debug", "info", "warn", "error"}

func (p *parser) checkLogLevel(s *Block, body *hclsyntax.Body) {
	a := body.Attributes["log_level"]
	if a == nil || p.failed(a.SrcRange) || slices.Contains(logLevels, s.LogLevel) {
		return
	}
	p.add(a.Expr.Range(), fmt.Sprintf("Invalid log_level %q", s.LogLevel),
		"the levels are "+strings.Join(logLevels, ", "), "")
}

func (p *parser) checkEnvironment(s *Block, body *hclsyntax.Body) {
	for i, name := range s.PassEnv {
		if !envForm.MatchString(name) {
			p.add(inside(body.Attributes["pass_env"].Expr, []string{fmt.Sprint(i)}),
				fmt.Sprintf("Invalid variable name %q", name), "pass_env contains names of environment variables of the server", "")
		}
	}
	for name, value := range s.Env {
		if !envForm.MatchString(name) || strings.Contains(value, "\x00") {
			p.add(inside(body.Attributes["env"].Expr, []string{name}),
				fmt.Sprintf("Invalid variable %q", name),
				"a name contains only letters, digits and _, and a value contains no NUL byte", "")
		}
	}
}

// hash returns the Hash of a block. It evaluates the config block, too, so that invalid expressions are
// reported before a process is started.
func (p *parser) hash(s *Block) string {
	content := []any{s.Kind, s.Label, s.Enabled}
	if s.Enabled {
		content = append(content, s.Command, s.Args, s.Models, s.PassEnv, s.Env, s.SHA256, s.AutoMTLS,
			s.MaxConcurrency, s.Retries, s.MaxMemory, s.LogLevel, s.ChecksumRequired)
		if s.config != nil {
			content = append(content, p.evaluated(s.config.Body))
		}
	}
	b, _ := json.Marshal(content) // never fails for strings and maps of strings
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// evaluated returns the values of a body without a schema.
func (p *parser) evaluated(body *hclsyntax.Body) []any {
	attrs := map[string]json.RawMessage{}
	for name, a := range body.Attributes {
		v, ok := p.eval(a.Expr)
		if !ok {
			continue
		}
		b, err := ctyjson.Marshal(v, cty.DynamicPseudoType)
		if err != nil {
			p.add(a.NameRange, "Invalid value", err.Error(), "")
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
