package remote

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
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
