package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/agentarea/agentarea/core"
)

const (
	// separator stands between a slug, which has no underscore, and a tool's name.
	separator = "__"
	// maxToolName is how many characters models take.
	maxToolName = 64
	// hashLen is how many characters of a hash tell apart names that are changed.
	hashLen = 8
)

// toolName is what models are told that a server's tool is called: slug__tool. It
// is the same each time, and of another tool another: where characters have to
// give way, a hash of the whole name ends it.
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

// namedTool is a tool as an agent knows it.
type namedTool struct {
	name string
	core.MCPTool
}

// nameTools names a server's tools. Of those that would be called the same, as of
// a server that has one twice, the first counts.
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
