// Command files-s3 is the file backend "s3": it stores files in a bucket of Amazon S3 or of any
// S3-compatible server, such as MinIO, Ceph, R2 or versitygw.
package main

import (
	"runtime/debug"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

const version = "0.1.0"

// gcPercent keeps garbage below a quarter of the memory in use. The parts of uploads are
// large, and cheap for the collector.
const gcPercent = 25

func main() {
	debug.SetGCPercent(gcPercent)
	b := newBackend()
	files.Serve(sdk.Info{
		Name:        "files-s3",
		Version:     version,
		Description: "Files in a bucket of Amazon S3 or of any S3-compatible server.",
		Config:      &b.config,
	}, b)
}
