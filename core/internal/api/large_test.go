package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

// gate blocks the handlers that pass it until it is opened, and lists their ids in order of arrival.
type gate struct {
	open chan struct{}

	mu  sync.Mutex
	ids []string
}

// arrived returns the ids.
func (g *gate) arrived() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.ids)
}

func (g *gate) pass(ctx context.Context, id string) error {
	g.mu.Lock()
	g.ids = append(g.ids, id)
	g.mu.Unlock()
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newLargeThings returns an API with operations that wait at a gate: GET /large/{thing_id} is a large one, GET
// /small/{thing_id} is not, and PUT /waiting leaves its slot before it waits.
func newLargeThings(t *testing.T, g *gate) *apitest.Server {
	t.Helper()
	s := apitest.New(t, func(o *api.Options) { o.Large = 2 })
	s.Audit.NoChange = append(s.Audit.NoChange, "put-waiting")
	for _, large := range []bool{true, false} {
		id, path := "get-small", "/small/{thing_id}"
		if large {
			id, path = "get-large", "/large/{thing_id}"
		}
		api.Register(s.API, api.Operation{
			ID: id, Method: http.MethodGet, Path: path, Tag: "Things", Access: api.SignedIn, Response: thing{}, Large: large,
		}, func(ctx context.Context, in *idInput) (*thingOutput, error) {
			return &thingOutput{}, g.pass(ctx, in.ID)
		})
	}
	api.Register(s.API, api.Operation{
		ID: "put-waiting", Method: http.MethodPut, Path: "/waiting",
		Tag: "Things", Access: api.Writer, Request: thing{}, Response: thing{},
	}, func(ctx context.Context, in *thingInput) (*thingOutput, error) {
		api.LeaveLarge(ctx)
		err := g.pass(ctx, "waiting")
		if err == nil {
			err = s.API.EnterLarge(ctx, len(in.Body.Name))
		}
		return &thingOutput{Body: in.Body}, err
	})
	s.API.Handler() // registers the docs page before the requests
	return s
}

// The large requests of a user wait for each other, in order. They do not delay other requests and other users.
func TestLargeRequestsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		s := newLargeThings(t, g)
		for _, request := range []string{
			"ann /large/1", "ann /large/2", "ann /large/3", "ann /large/4", "ann /small/5", "bob /large/6",
		} {
			who, path, _ := strings.Cut(request, " ")
			go func() { s.Do(t, who, "GET", path, "").Want(200) }()
			synctest.Wait()
		}
		if got := strings.Join(g.arrived(), " "); got != "1 2 5 6" {
			t.Errorf("the requests %s run, want 1 2 5 6", got)
		}
		g.open <- struct{}{}
		synctest.Wait()
		if got := strings.Join(g.arrived(), " "); got != "1 2 5 6 3" {
			t.Errorf("after the end of a request, %s run, want 1 2 5 6 3", got)
		}
		close(g.open)
		synctest.Wait()
		if n := s.API.LargeCallers(); n != 0 {
			t.Errorf("%d callers have large requests after their end, want none", n)
		}
	})
}

// A program that follows 200 tasks of its user at the same time is not refused.
func TestLargeRequestsWait_manyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		s := newLargeThings(t, g)
		for range 200 {
			go func() { s.Do(t, "ann", "GET", "/large/1", "").Want(200) }()
		}
		synctest.Wait()
		close(g.open)
		synctest.Wait()
		if got, want := len(g.arrived()), 200; got != want {
			t.Errorf("%d of %d large requests were served", got, want)
		}
	})
}

// Too many waiting requests are rejected, and a client that disconnects gives up its place.
func TestLargeRequestsWait_limit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		s := newLargeThings(t, g)
		ctx, disconnect := context.WithCancel(t.Context())
		for range 2 + api.MaxWaiting {
			r := httptest.NewRequestWithContext(ctx, "GET", "/large/1", nil)
			r.Header.Set("Authorization", "Bearer "+s.Tokens["ann"])
			go s.API.Handler().ServeHTTP(httptest.NewRecorder(), r)
		}
		synctest.Wait()
		a := s.Do(t, "ann", "GET", "/large/2", "").Want(503)
		if f := a.Failure(); !strings.Contains(f.Message, "Too many large requests of yours") ||
			f.Code != core.CodeUnavailable || a.Header().Get("Retry-After") != "1" {
			t.Errorf("got %+v with %v, want SERVICE_UNAVAILABLE and Retry-After", f, a.Header())
		}
		disconnect()
		synctest.Wait()
		if n := s.API.LargeCallers(); n != 0 {
			t.Errorf("%d callers have large requests after their clients have disconnected, want none", n)
		}
		close(g.open)
		s.Do(t, "ann", "GET", "/large/3", "").Want(200)
	})
}

// A body above 16 KiB makes a request a large one, until its handler leaves the slot.
func TestLargeBodiesWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		s := newLargeThings(t, g)
		put := func(size int) {
			s.Do(t, "ann", "PUT", "/waiting", `{"name":"`+strings.Repeat("a", size)+`"}`).Want(200)
		}
		for range 3 {
			go put(20 << 10)
		}
		synctest.Wait()
		if n := len(g.arrived()); n != 3 {
			t.Errorf("%d requests have left their slot, want 3", n)
		}
		for range 2 {
			go func() { s.Do(t, "ann", "GET", "/large/1", "").Want(200) }()
		}
		synctest.Wait()
		go put(20 << 10)
		go put(10)
		synctest.Wait()
		if n := len(g.arrived()); n != 3+2+1 {
			t.Errorf("%d requests run, want 6: a large body waits for the slots, and a small one does not", n)
		}
		close(g.open)
		synctest.Wait()
		if n := s.API.LargeCallers(); n != 0 || len(g.arrived()) != 7 {
			t.Errorf("%d requests ran and %d callers have large requests, want 7 and none", len(g.arrived()), n)
		}
	})
}
