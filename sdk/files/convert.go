package files

import (
	"time"

	"github.com/agentarea/agentarea/sdk/internal/wire"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

func fromObject(o *Object) *filesv1.Object {
	out := &filesv1.Object{Key: wire.UTF8(o.Key), Size: o.Size}
	if !o.Modified.IsZero() {
		out.ModifiedMs = o.Modified.UnixMilli()
	}
	return out
}

func toObject(o *filesv1.Object) Object {
	out := Object{Key: o.GetKey(), Size: o.GetSize()}
	if o.GetModifiedMs() != 0 {
		out.Modified = time.UnixMilli(o.GetModifiedMs()).UTC()
	}
	return out
}

// seconds returns d in seconds, rounded up, so that a URL is valid for at least d.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
