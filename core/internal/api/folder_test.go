package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Repeated refusals are recorded as one entry for the first and one with the number of the others.
func TestAudit_foldsRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t, func(id string) error { return core.NotFound("thing", id) }, nil)
		refused := func() (counts []int) {
			for _, e := range s.Audit.Entries() {
				counts = append(counts, e.Repeated)
			}
			return counts
		}
		want := func(want ...int) {
			t.Helper()
			got := refused()
			if len(got) != len(want) {
				t.Fatalf("got entries with %v repetitions, want %v", got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("got entries with %v repetitions, want %v", got, want)
				}
			}
		}
		for _, id := range []string{"thing-1", "thing-2", "thing-3", "thing-1"} {
			s.Do(t, "ann", "GET", "/things/"+id, "").Want(404)
		}
		want(1)
		s.Do(t, "bob", "GET", "/things/thing-1", "").Want(404) // another user
		s.Do(t, "ann", "GET", "/things/other-1", "").Want(404) // another kind of object
		time.Sleep(time.Second)
		for range 3 {
			s.Do(t, "", "GET", "/things/thing-1", "").Want(401) // nobody
		}
		want(1, 1, 1, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(1, 1, 1, 1, 3, 2)
		s.Do(t, "ann", "GET", "/things/thing-1", "").Want(404)
		s.Do(t, "ann", "GET", "/things/thing-1", "").Want(404)
		want(1, 1, 1, 1, 3, 2, 1)
		s.API.Close()
		want(1, 1, 1, 1, 3, 2, 1, 1)
	})
}

type noMore struct{}

func (noMore) Admit(*http.Request, http.Header, string, core.Role) error {
	return &core.Error{Code: core.CodeRateLimited, Message: "Too many requests"}
}

// A client over the rate limit writes two log lines per minute.
func TestLog_foldsRateLimitedRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t, noError, nil, func(o *api.Options) { o.Limits = noMore{} })
		for range 10 {
			s.Do(t, "ann", "GET", "/things/1", "").Want(429)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if log := s.Log(); strings.Count(log, "msg=request") != 2 || !strings.Contains(log, "repeated=1\n") ||
			!strings.Contains(log, "repeated=9\n") {
			t.Errorf("got log\n%s\nwant two lines, for 1 and for 9 requests", log)
		}
	})
}
