package sdk

import "embed"

// Source is the source code of this module. The command `agentarea plugins new` writes it into new
// projects, so that they build without access to a published version. A program that does not refer
// to Source does not contain it.
//
//go:embed LICENSE go.mod go.sum *.go agent files internal llm mcptransport netguard plugin plugintest proto
var Source embed.FS
