// Command files-s3 keeps the bytes of files in a bucket of Amazon S3, or of any
// server that speaks its protocol: MinIO, Ceph, R2, versitygw, …
package main

import (
	"runtime/debug"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

const version = "0.1.0"

// gcPercent keeps garbage below a quarter of what is in use: an upload's parts weigh
// much, and cost the collector nothing.
const gcPercent = 25

func main() {
	debug.SetGCPercent(gcPercent)
	b := newBackend()
	files.Serve(sdk.Info{
		Name:        "files-s3",
		Version:     version,
		Description: "Files in a bucket of Amazon S3, or of any server that speaks its protocol.",
		Config:      &b.config,
	}, b)
}
