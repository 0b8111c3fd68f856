// Package agentarea holds the files that are embedded in the server's binary.
package agentarea

import _ "embed"

// DefaultPlugins is the plugins.hcl of a server that finds none.
//
//go:embed plugins.hcl
var DefaultPlugins []byte
