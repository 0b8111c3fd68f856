package files

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	backends "github.com/agentarea/agentarea/sdk/files"
)

// Backends finds the files plugins.
type Backends interface {
	// FileBackend gives the files plugin of that label, or the one that takes new
	// files for "", with its label. It waits a little while the plugin is being
	// started, and fails with Unavailable after that.
	FileBackend(ctx context.Context, label string) (string, backends.Backend, error)
}

// Options are what Files is made of. Limits and Times may be left out.
type Options struct {
	Store    core.FileStore
	Backends Backends
	// Labels gives the labels of the enabled files plugins.
	Labels func() []string
	Limits Limits
	Times  Times
	Logger *slog.Logger
}

// Limits bound what users may put down.
type Limits struct {
	// FileSize is the most bytes of a file; 2 GiB unless set.
	FileSize int64
	// UserTotal is the most bytes of all files of a user; 0 is no limit.
	UserTotal int64
	// Uploads is how many a user may have under way at once on this server; 8
	// unless set.
	Uploads int
}

// Times are how long things may take; zero is the default.
type Times struct {
	// Reserve is how long a blob that is being written is safe from the sweeper
	// without renewal (15 min), and Renew how often it is renewed (5 min).
	Reserve, Renew time.Duration
	// Stall is how long a backend may take neither to accept nor to give a byte
	// (30 s), and Commit how long it may take to make safe what it has (2 min).
	Stall, Commit time.Duration
	// Call is the time for a short call of a backend, such as a delete (10 s).
	Call time.Duration
	// Sweep is how often the sweeper looks for pending blobs (1 min), and Claim for how
	// long it has what it claims (10 min).
	Sweep, Claim time.Duration
	// Grace is how long the bytes of a file that was moved stay where they were,
	// for downloads that began before (10 min).
	Grace time.Duration
}

// Files implements core.Files.
type Files struct {
	store    core.FileStore
	backends Backends
	labels   func() []string
	limits   Limits
	times    Times
	log      *slog.Logger

	mu sync.Mutex
	// uploads counts those under way by user.
	uploads map[string]int
	// moving is held by a move.
	moving sync.Mutex

	// kick wakes the sweeper.
	kick     chan struct{}
	sweeping sync.WaitGroup
	stop     context.CancelFunc
}

var _ core.Files = (*Files)(nil)

// New makes Files. Start begins its sweeping.
func New(o Options) *Files {
	f := &Files{
		store: o.Store, backends: o.Backends, labels: o.Labels, limits: o.Limits, times: o.Times, log: o.Logger,
		uploads: map[string]int{}, kick: make(chan struct{}, 1), stop: func() {},
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

// Start sweeps until Close.
func (f *Files) Start() {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.sweeping.Go(func() { f.sweepAlways(ctx) })
}

// Close ends the sweeping, in mid-sweep if need be.
func (f *Files) Close() {
	f.stop()
	f.sweeping.Wait()
}

// Delete implements core.Files. The bytes go right after, by the sweeper.
func (f *Files) Delete(ctx context.Context, v core.Actor, id string, version int64) error {
	if _, err := f.store.DeleteFile(ctx, v, id, version, now()); err != nil {
		return err
	}
	f.wake()
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
