package files

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	backends "github.com/agentarea/agentarea/sdk/files"
)

// Backends provides the file backends.
type Backends interface {
	// FileBackend returns the backend with the given label, or the backend for new files if label
	// is "", and its label. While the plugin is starting it waits for a short time, and then fails
	// with Unavailable.
	FileBackend(ctx context.Context, label string) (string, backends.Backend, error)
}

// Options configure Files. Limits and Times are optional.
type Options struct {
	Store    core.FileStore
	Backends Backends
	// Labels returns the labels of the enabled files plugins.
	Labels func() []string
	Limits Limits
	Times  Times
	Logger *slog.Logger
}

// Limits limit uploads.
type Limits struct {
	// FileSize is the maximum size of a file in bytes. Default: 2 GiB.
	FileSize int64
	// UserTotal is the maximum total size of a user's files in bytes. 0 means no limit.
	UserTotal int64
	// Uploads is the maximum number of concurrent uploads of a user on this server. Default: 8.
	Uploads int
}

// Times are timeouts and intervals. Zero values are replaced by the defaults in parentheses.
type Times struct {
	// Reserve is the time for which a reservation protects a blob from the sweeper (15 min). Renew is the
	// interval at which reservations are renewed (5 min).
	Reserve, Renew time.Duration
	// Stall is the maximum time for which a backend may transfer no byte (30 s). Commit is the maximum time
	// for it to store an upload after its last byte (2 min).
	Stall, Commit time.Duration
	// Call is the timeout of a short call, such as a delete (10 s).
	Call time.Duration
	// Sweep is the interval of the sweeper (1 min). Claim is the duration of its claims (10 min).
	Sweep, Claim time.Duration
	// Grace is the time for which the old bytes of a moved file are kept, for downloads in progress (10 min).
	Grace time.Duration
}

// Files implements core.Files. Its methods may be called concurrently.
type Files struct {
	store    core.FileStore
	backends Backends
	labels   func() []string
	limits   Limits
	times    Times
	log      *slog.Logger

	mu sync.Mutex
	// uploads counts the active uploads by user.
	uploads map[string]int
	// moving is held during a move.
	moving sync.Mutex

	// sweepRequested wakes the sweeper. Its capacity is 1.
	sweepRequested chan struct{}
	sweeping       sync.WaitGroup
	stop           context.CancelFunc
}

var _ core.Files = (*Files)(nil)

// New returns a Files. Call Start to start its sweeper.
func New(o Options) *Files {
	f := &Files{
		store: o.Store, backends: o.Backends, labels: o.Labels, limits: o.Limits, times: o.Times, log: o.Logger,
		uploads: map[string]int{}, sweepRequested: make(chan struct{}, 1), stop: func() {},
	}
	if f.limits.FileSize == 0 {
		f.limits.FileSize = 2 << 30
	}
	if f.limits.Uploads == 0 {
		f.limits.Uploads = 8
	}
	for _, t := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&f.times.Reserve, 15 * time.Minute},
		{&f.times.Renew, 5 * time.Minute},
		{&f.times.Stall, 30 * time.Second},
		{&f.times.Commit, 2 * time.Minute},
		{&f.times.Call, 10 * time.Second},
		{&f.times.Sweep, time.Minute},
		{&f.times.Claim, 10 * time.Minute},
		{&f.times.Grace, 10 * time.Minute},
	} {
		if *t.field == 0 {
			*t.field = t.fallback
		}
	}
	return f
}

// Start starts the sweeper, which runs until Close.
func (f *Files) Start() {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.sweeping.Go(func() { f.runSweeper(ctx) })
}

// Close stops the sweeper and waits for it.
func (f *Files) Close() {
	f.stop()
	f.sweeping.Wait()
}

// Delete implements core.Files. The sweeper deletes the bytes afterwards.
func (f *Files) Delete(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64) error {
	if _, err := f.store.DeleteFile(ctx, audit, v, id, version, now()); err != nil {
		return err
	}
	f.wake()
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
