package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

// things is a list of numbers in descending order. A page has at most fit numbers, because they are large.
type things struct {
	numbers []int
	fit     int
}

type thingsInput struct {
	api.LongPage
	Kind string `query:"kind"`
}

type thingsOutput struct {
	Body struct {
		Things []int `json:"things"`
		api.Paged
	}
}

func (l *things) read(p core.Page) ([]int, int, error) {
	from := p.Offset
	if p.After != nil {
		from = slices.IndexFunc(l.numbers, func(n int) bool { return int64(n) < p.After.Number })
		if from < 0 {
			from = len(l.numbers)
		}
	}
	from = min(from, len(l.numbers))
	return l.numbers[from:min(from+min(p.Limit, l.fit), len(l.numbers))], len(l.numbers), nil
}

func (l *things) register(a *api.API, path string) {
	api.Register(a, api.Operation{ID: "list" + path, Method: http.MethodGet, Path: path, Access: api.SignedIn},
		func(ctx context.Context, in *thingsInput) (*thingsOutput, error) {
			found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, l.read,
				func(n int) core.PageKey { return core.PageKey{Number: int64(n)} })
			out := &thingsOutput{}
			out.Body.Things, out.Body.Paged = found, paged
			return out, err
		})
}

type thingsPage struct {
	things []int
	next   string
}

func getThings(t *testing.T, s *apitest.Server, query string) thingsPage {
	t.Helper()
	body := s.Do(t, "ann", "GET", "/things?"+query, "").Want(200).JSON()
	var p thingsPage
	all, _ := body["things"].([]any)
	for _, n := range all {
		p.things = append(p.things, int(n.(float64)))
	}
	p.next, _ = body["next_cursor"].(string)
	return p
}

func TestReadPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, fit, limit int
		pages             int
	}{
		{0, 99, 5, 1},
		{1, 99, 5, 1},
		{5, 99, 5, 1},
		{6, 99, 5, 2},
		{10, 99, 5, 2},
		{11, 99, 5, 3},
		{7, 2, 5, 4},
		{6, 2, 5, 3},
		{1, 1, 1, 1},
		{3, 1, 1, 3},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			l := &things{fit: c.fit}
			for n := range c.count {
				l.numbers = append(l.numbers, 100-n)
			}
			s := apitest.New(t)
			l.register(s.API, "/things")
			var got []int
			page := getThings(t, s, fmt.Sprint("limit=", c.limit))
			pages := 1
			for got = append(got, page.things...); page.next != ""; pages++ {
				page = getThings(t, s, fmt.Sprintf("limit=%d&cursor=%s", c.limit, page.next))
				got = append(got, page.things...)
			}
			if !slices.Equal(got, l.numbers) || pages != c.pages {
				t.Errorf("got %v on %d pages, want %v on %d", got, pages, l.numbers, c.pages)
			}
		})
	}
}

func TestReadPage_default(t *testing.T) {
	t.Parallel()
	l := &things{fit: 1000}
	for n := range 150 {
		l.numbers = append(l.numbers, 1000-n)
	}
	s := apitest.New(t)
	l.register(s.API, "/things")
	if got := getThings(t, s, ""); len(got.things) != 100 || got.next == "" {
		t.Errorf("got %d things and the cursor %q, want 100 and a cursor", len(got.things), got.next)
	}
	if got := getThings(t, s, "offset=100"); len(got.things) != 50 || got.next != "" {
		t.Errorf("got %d things and the cursor %q, want 50 and none", len(got.things), got.next)
	}
}

func TestReadPage_badCursor(t *testing.T) {
	t.Parallel()
	l := &things{numbers: []int{5, 4, 3, 2, 1}, fit: 9}
	s := apitest.New(t)
	l.register(s.API, "/things")
	l.register(s.API, "/others")
	next := getThings(t, s, "limit=2&kind=a").next
	s.Do(t, "ann", "GET", "/things?kind=a&limit=3&cursor="+next, "").Want(200) // another limit is fine
	for name, c := range map[string]struct{ path, field, issue string }{
		"no cursor":      {"/things?cursor=x", "cursor", "Must be the next_cursor of a page of this list"},
		"not base64":     {"/things?cursor=%21%21", "cursor", "Must be the next_cursor of a page of this list"},
		"too short":      {"/things?cursor=" + next[:8], "cursor", "Must be the next_cursor of a page of this list"},
		"other filters":  {"/things?kind=b&cursor=" + next, "cursor", "other filters"},
		"without filter": {"/things?cursor=" + next, "cursor", "other filters"},
		"another list":   {"/others?kind=a&cursor=" + next, "cursor", "another list"},
		"with an offset": {"/things?kind=a&offset=2&cursor=" + next, "offset", "Must be omitted with cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := s.Do(t, "ann", "GET", c.path, "").Want(400).Failure()
			if f.Code != core.CodeValidation || f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("GET %s = %+v, want %q of %s", c.path, f, c.issue, c.field)
			}
		})
	}
}
