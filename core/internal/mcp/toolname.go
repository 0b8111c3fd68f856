package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/agentarea/agentarea/core"
)

const (
	// separator separates the slug, which contains no underscore, from the tool's name.
	separator = "__"
	// maxToolName is the maximum length of a name that models accept, in characters.
	maxToolName = 64
	// hashLen is the length of the hash that makes changed names unique, in characters.
	hashLen = 8
)

// toolName returns the name of a server's tool for models: slug__tool. It is stable and
// unique: if characters must be replaced or removed, it ends with a hash of the full name.
func toolName(slug, tool string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, tool)
	name := slug + separator + plain
	if plain == tool && len(name) <= maxToolName {
		return name
	}
	sum := sha256.Sum256([]byte(tool))
	return name[:min(len(name), maxToolName-hashLen-1)] + "_" + hex.EncodeToString(sum[:])[:hashLen]
}

// namedTool is a tool with its name for models.
type namedTool struct {
	name string
	core.MCPTool
}

// nameTools names a server's tools. If several have the same name, it keeps the first.
func nameTools(slug string, tools []core.MCPTool) []namedTool {
	out := make([]namedTool, 0, len(tools))
	taken := make(map[string]bool, len(tools))
	for _, t := range tools {
		name := toolName(slug, t.Name)
		if taken[name] {
			continue
		}
		taken[name] = true
		out = append(out, namedTool{name, t})
	}
	return out
}
