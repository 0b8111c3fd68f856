// Command files-local is the file backend "local": it stores files in a folder on the server's
// disk.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

const version = "0.1.0"

func main() {
	b := newBackend()
	files.Serve(sdk.Info{
		Name:        "files-local",
		Version:     version,
		Description: "Files in a folder on the server's disk.",
		Config:      &b.config,
	}, b)
}
