package sdk

import "context"

// Info says what a plugin is.
type Info struct {
	// Name is the plugin's own, as in its binary: llm-openai.
	Name string
	// Version is the plugin's own semantic version.
	Version string
	// Description is one sentence for people.
	Description string
	// Capabilities are optional powers, in the words of the plugin's kind.
	Capabilities []string
	// Config, if set, points to a struct that takes the stanza's config block.
	// Its exported fields make the schema, by these tags:
	//
	//	config:"base_url"            the attribute's name; ",required" and ",secret" may follow
	//	default:"https://…"          the value when the line is left out
	//	doc:"where the API is"       for plugins.hcl's reader
	//
	// Fields are string, bool, int, int64, float64, []string, map[string]string,
	// time.Duration (written "30s"), a struct (one inner block), or a slice of
	// structs (any number of inner blocks).
	Config any
}

// Configurer is a plugin that has something to do, or to refuse, once Info's
// Config is filled in. An error that holds ConfigErrors points at their lines.
type Configurer interface {
	Configure(ctx context.Context, env Env) error
}

// Env is what the server lets a plugin have.
type Env struct {
	// Label is that of the plugin's stanza.
	Label string
	// DataDir is a directory that the plugin may keep its data in.
	DataDir string
}

// ConfigError is a value of the config block that the plugin can't take.
type ConfigError struct {
	// Path leads from the config block to the value: names and indices.
	Path    []string
	Summary string
	// Detail says what to write instead.
	Detail string
}

func (e *ConfigError) Error() string {
	s := e.Summary
	for i := len(e.Path) - 1; i >= 0; i-- {
		s = e.Path[i] + ": " + s
	}
	if e.Detail != "" {
		s += ". " + e.Detail
	}
	return s
}

// Healther is a plugin that can tell whether it is fit to serve.
type Healther interface {
	// Health answers within two seconds; nil is fit.
	Health(ctx context.Context) error
}

// Stopper is a plugin that has something to let go of before its process ends.
type Stopper interface {
	Stop(ctx context.Context) error
}

// Block is the schema of a block of plugins.hcl.
type Block struct {
	Attributes []Attribute
	Blocks     []NestedBlock
}

// Attribute is the schema of one name = value line.
type Attribute struct {
	Name string
	// Type is an HCL type: string, number, bool, list(string), map(string), any.
	Type        string
	Required    bool
	Secret      bool
	Description string
	// Default is JSON; empty for none.
	Default string
}

// NestedBlock is an inner block. With Max 1 it is decoded to an object, else to
// a list of objects; a Max of 0 is unlimited.
type NestedBlock struct {
	Name        string
	Block       Block
	Min, Max    int
	Description string
}

// Diagnostic is a plugin's complaint about its config.
type Diagnostic struct {
	// Warning ones do not keep the plugin from being used.
	Warning bool
	ConfigError
}
