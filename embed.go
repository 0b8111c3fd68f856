// Package agentarea holds what the server's binary carries with it.
package agentarea

import _ "embed"

// DefaultPlugins is the plugins.hcl of a server that finds none.
//
//go:embed plugins.hcl
var DefaultPlugins []byte
