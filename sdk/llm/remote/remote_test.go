package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

func TestNew_nameOfHost(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://api.openai.com/v1":      "api.openai.com",
		"https://llm.example.com:8443":   "llm.example.com:8443",
		"http://10.1.2.3:11434":          "the provider",
		"http://[::1]:11434":             "the provider",
		"http://localhost:11434":         "the provider",
		"http://ollama:11434":            "the provider",
		"http://gpu7.ml.Internal/v1":     "the provider",
		"http://llm.default.svc:80/v1":   "the provider",
		"http://models.cluster.local./x": "the provider",
	} {
		s, err := New(Settings{BaseURL: base, Timeout: time.Second})
		if err != nil || s.Host != want {
			t.Errorf("New(%s).Host = %v, %v, want %s", base, s, err, want)
		}
	}
}

func TestTransportError_hasNoAddresses(t *testing.T) {
	t.Parallel()
	s, err := New(Settings{BaseURL: "http://10.1.2.3:11434", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	refused := &net.OpError{
		Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 11434}, Err: errors.New("refused"),
	}
	for _, err := range []error{
		&url.Error{Op: "Post", URL: "http://10.1.2.3:11434/api/chat", Err: refused}, refused,
		&net.DNSError{Err: "no such host", Name: "10.1.2.3", Server: "10.1.2.3:53"},
	} {
		got := s.TransportError(context.Background(), err)
		if got.Code != sdk.CodeUnavailable || !got.Retryable || strings.Contains(got.Message, "10.1.2.3") {
			t.Errorf("TransportError(%v) = %v, want unavailable without an address", err, got)
		}
	}
}

// A server that stops in the middle of an answer is bounded. One whose reader is slow is not.
func TestStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Settings{BaseURL: "http://localhost", Timeout: time.Minute, StallTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		body, server := io.Pipe()
		res := &http.Response{Body: body}
		s.watchStall(res)
		go func() { _, _ = server.Write([]byte("ab")) }()
		for range 2 {
			if _, err := res.Body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour) // a slow reader
		}
		began := time.Now()
		_, err = res.Body.Read(make([]byte, 1))
		var e *sdk.Error
		if !errors.As(err, &e) || e.Code != sdk.CodeTimeout || !strings.Contains(e.Message, "stall_timeout") {
			t.Errorf("Read() of a stalled body = %v, want a timeout that names stall_timeout", err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("Read() waited for %s, want 1m", waited)
		}
	})
}
