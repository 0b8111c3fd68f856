// Package agentarea holds what the server's binary carries along.
package agentarea

import _ "embed"

// DefaultPlugins is the plugins.hcl that serves when there is none.
//
//go:embed plugins.hcl
var DefaultPlugins []byte
