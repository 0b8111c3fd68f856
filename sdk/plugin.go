package sdk

import "context"

// Info describes a plugin.
type Info struct {
	// Name is the name of the plugin, which is also the name of its program. Example: llm-openai.
	Name string
	// Version is the semantic version of the plugin itself.
	Version string
	// Description describes the plugin in one sentence.
	Description string
	// Capabilities are the names of the optional features that the plugin supports. The plugin's kind
	// defines them.
	Capabilities []string
	// Config, if set, is a pointer to a struct that receives the config block of the plugin's block in
	// plugins.hcl. The tags of its exported fields define the schema of the config block:
	//
	//	config:"base_url"            the name of the attribute; ",required" and ",secret" may follow
	//	default:"https://…"          the value if the attribute is absent
	//	doc:"URL of the API"         a description for administrators
	//
	// A field has one of these types: string, bool, int, int64, float64, []string, map[string]string,
	// time.Duration (an attribute such as "30s"), a struct (one nested block), or a slice of structs
	// (any number of nested blocks).
	Config any
}

// Configurer is an optional interface of a plugin that validates or uses its configuration.
type Configurer interface {
	// Configure is called after the struct of Info.Config has been filled in. If it returns an error,
	// the plugin is not used. The host reports each *ConfigError in the error's chain with the line in
	// plugins.hcl that the ConfigError refers to.
	Configure(ctx context.Context, env Env) error
}

// Env contains the resources that the server provides for a plugin.
type Env struct {
	// Label is the label of the plugin's block in plugins.hcl.
	Label string
	// DataDir is a directory in which the plugin may store data. The data is kept when the plugin
	// restarts.
	DataDir string
}

// ConfigError reports an invalid value in the config block.
type ConfigError struct {
	// Path is the path from the config block to the value: attribute names, block types and list
	// indices.
	Path []string
	// Summary describes the problem in a few words.
	Summary string
	// Detail describes how to fix the problem.
	Detail string
}

// Error returns the path, the summary and the detail.
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

// Healther is an optional interface of a plugin that checks its own health.
type Healther interface {
	// Health returns nil if the plugin can serve requests, and the reason otherwise. It must return
	// within two seconds.
	Health(ctx context.Context) error
}

// Stopper is an optional interface of a plugin that releases resources before its process ends.
type Stopper interface {
	// Stop is called when no other call is in progress.
	Stop(ctx context.Context) error
}

// Block is the schema of a block in plugins.hcl.
type Block struct {
	Attributes []Attribute
	Blocks     []NestedBlock
}

// Attribute is the schema of an attribute, which is one line of the form name = value.
type Attribute struct {
	Name string
	// Type is the HCL type: string, number, bool, list(string), map(string) or any.
	Type     string
	Required bool
	// Secret attributes are never printed.
	Secret      bool
	Description string
	// Default is the default value as JSON, or "" if there is none.
	Default string
}

// NestedBlock is the schema of a block inside another block.
type NestedBlock struct {
	Name  string
	Block Block
	// Min and Max bound the number of blocks. A Max of 0 means no limit. If Max is 1, the block is
	// decoded to an object, otherwise the blocks are decoded to a list of objects.
	Min, Max    int
	Description string
}

// Diagnostic describes a problem that a plugin found in its configuration.
type Diagnostic struct {
	// Warning reports whether the plugin can be used in spite of the problem.
	Warning bool
	ConfigError
}
