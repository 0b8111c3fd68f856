package api_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

type noteInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
}

type note struct {
	Text string `json:"text"`
}

type noteOutput struct {
	ETag string `header:"ETag"`
	Body note
}

// newNotes returns a server with a note that has a version and a text, and one without a version.
func newNotes(t *testing.T, text *string) *apitest.Server {
	t.Helper()
	s := apitest.New(t)
	current := func() *noteOutput { return &noteOutput{ETag: api.ETag(3), Body: note{*text}} }
	api.Register(s.API, api.Operation{
		ID: "get-note", Method: http.MethodGet, Path: "/notes/{id}", Access: api.SignedIn, Response: note{},
	}, func(context.Context, *noteInput) (*noteOutput, error) { return current(), nil })
	api.Register(s.API, api.Operation{
		ID: "get-plain-note", Method: http.MethodGet, Path: "/plain/{id}", Access: api.SignedIn, Response: note{},
	}, func(ctx context.Context, in *noteInput) (*struct{ Body note }, error) {
		return &struct{ Body note }{note{*text}}, nil
	})
	api.Register(s.API, api.Operation{
		ID: "change-note", Method: http.MethodPut, Path: "/notes/{id}", Access: api.SignedIn, Response: note{},
	}, func(ctx context.Context, in *noteInput) (*noteOutput, error) {
		api.Audit(ctx).Claim()
		if err := api.CheckIfMatch(in.IfMatch, "note", 3); err != nil {
			return nil, err
		}
		return current(), nil
	})
	api.Register(s.API, api.Operation{
		ID: "fail", Method: http.MethodGet, Path: "/fail/{id}", Access: api.SignedIn, Response: note{},
	}, func(context.Context, *noteInput) (*noteOutput, error) {
		return nil, core.Conflict("%s", *text)
	})
	return s
}

func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/notes/1", "/plain/1"} {
		text := "Hello"
		s := newNotes(t, &text)
		first := s.Do(t, "ann", "GET", path, "").Want(200)
		tag := first.Header().Get("ETag")
		if tag == "" || !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) {
			t.Fatalf("GET %s has the ETag %s, want a strong one", path, tag)
		}
		for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*", strings.TrimSuffix(tag, `"`) + `-gzip"`} {
			got := s.Do(t, "ann", "GET", path, "", "If-None-Match: "+match).Want(304)
			if got.Body.Len() > 0 || got.Header().Get("ETag") != tag || got.Header().Get("Content-Type") != "" {
				t.Errorf("If-None-Match %s: got body %q and headers %v, want no body and the ETag", match, got.Body, got.Header())
			}
		}
		for _, match := range []string{`"x"`, "nonsense", `"v3"`} {
			s.Do(t, "ann", "GET", path, "", "If-None-Match: "+match).Want(200)
		}
		text = "Changed without a new version"
		if got := s.Do(t, "ann", "GET", path, "", "If-None-Match: "+tag).Want(200); got.Header().Get("ETag") == tag {
			t.Errorf("GET %s: the changed object has the same ETag %s", path, tag)
		}
	}
}

func TestIfMatch_ofAnyReply(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Hello ", 1000)
	s := newNotes(t, &text)
	for _, encoding := range []string{"identity", "gzip"} {
		tag := s.Do(t, "ann", "GET", "/notes/1", "", "Accept-Encoding: "+encoding).Want(200).Header().Get("ETag")
		s.Do(t, "ann", "PUT", "/notes/1", "", "If-Match: "+tag).Want(200)
		s.Do(t, "ann", "PUT", "/notes/1", "", "If-Match: "+strings.Replace(tag, "v3", "v2", 1)).Want(412)
	}
	s.Do(t, "ann", "PUT", "/notes/1", "", `If-Match: "v3"`).Want(200)
	s.Do(t, "ann", "PUT", "/notes/1", "", `If-Match: "v33"`).Want(412)
}

func TestCompression(t *testing.T) {
	t.Parallel()
	long, short := strings.Repeat("Hello ", 1000), "Hello"
	for _, c := range []struct {
		name, text, accept, path string
		want                     bool
	}{
		{"gzip", long, "gzip", "/notes/1", true},
		{"several", long, "br;q=1.0, gzip;q=0.8, *;q=0.1", "/notes/1", true},
		{"any", long, "*", "/notes/1", true},
		{"an error", long, "gzip", "/fail/1", true},
		{"short", short, "gzip", "/notes/1", false},
		{"none", long, "", "/notes/1", false},
		{"another", long, "br, deflate", "/notes/1", false},
		{"refused", long, "gzip;q=0, *", "/notes/1", false},
		{"identity only", long, "identity", "/notes/1", false},
	} {
		s := newNotes(t, &c.text)
		var headers []string
		if c.accept != "" {
			headers = append(headers, "Accept-Encoding: "+c.accept)
		}
		plain := s.Do(t, "ann", "GET", c.path, "")
		got := s.Do(t, "ann", "GET", c.path, "", headers...)
		if got.Header().Get("Vary") != "Accept-Encoding" || plain.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: got Vary %q and %q, want Accept-Encoding", c.name, got.Header().Get("Vary"), plain.Header().Get("Vary"))
		}
		encoded := got.Header().Get("Content-Encoding") == "gzip"
		if encoded != c.want {
			t.Errorf("%s: the reply is compressed: %v, want %v", c.name, encoded, c.want)
			continue
		}
		body := got.Body.String()
		if encoded {
			r, err := gzip.NewReader(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
			if tag := plain.Header().Get("ETag"); tag != "" && got.Header().Get("ETag") == tag {
				t.Errorf("%s: both encodings have the ETag %s", c.name, tag)
			}
		}
		if c.path == "/notes/1" && body != plain.Body.String() {
			t.Errorf("%s: got %.100s, want %.100s", c.name, body, plain.Body)
		}
	}
}

// TestCompression_stream checks that events are sent as they are.
func TestCompression_stream(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	data := `{"type":"token","content":"` + strings.Repeat("a", 5000) + `"}`
	api.Register(s.API, api.Operation{
		ID: "events", Method: http.MethodGet, Path: "/events/{id}", Access: api.SignedIn, Stream: api.RunEvents,
	}, func(ctx context.Context, _ *noteInput) (*huma.StreamResponse, error) {
		return s.API.Stream(ctx, &apitest.Events{Batches: [][]core.Event{{apitest.Event(1, data)}}}), nil
	})
	got := s.Do(t, "ann", "GET", "/events/1", "", "Accept-Encoding: gzip").Want(200)
	if got.Header().Get("Content-Encoding") != "" || got.Body.String() != "id: 1\ndata: "+data+"\n\n" {
		t.Errorf("got headers %v and %.100s, want the events as they are", got.Header(), got.Body)
	}
}
