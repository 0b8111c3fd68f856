// Package remote is what transports share that reach MCP servers by a URL: their
// settings, the server's config, a guarded HTTP client, event streams, and the
// little that a carrier must know of a message.
package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/netguard"
)

// Settings are the stanza's config block.
type Settings struct {
	Allow          []string      `config:"allow" doc:"hosts, IP addresses and networks inside your own that servers may be at, beside public ones; link-local addresses and a cloud's metadata never"`
	CAFile         string        `config:"ca_file" doc:"a PEM file of certificates to trust beside the system's"`
	ProxyFromEnv   bool          `config:"proxy_from_env" default:"false" doc:"whether HTTPS_PROXY, HTTP_PROXY and NO_PROXY are followed; the proxy then decides where names lead"`
	ConnectTimeout time.Duration `config:"connect_timeout" default:"10s" doc:"until a connection stands"`
	AnswerTimeout  time.Duration `config:"answer_timeout" default:"10m" doc:"until an answer begins; a stream that has begun may take any time"`
}

// Web opens clients to servers.
type Web struct {
	settings Settings
	guard    *netguard.Guard
	roots    *x509.CertPool
	proxy    func(*http.Request) (*url.URL, error)
}

// NewWeb fails with *sdk.ConfigErrors.
func NewWeb(s Settings) (*Web, error) {
	w := &Web{settings: s}
	var errs []error
	var err error
	if w.guard, err = netguard.New(s.Allow); err != nil {
		path := []string{"allow"}
		var bad *netguard.EntryError
		if errors.As(err, &bad) {
			path = append(path, strconv.Itoa(bad.Index))
			err = errors.New(bad.Reason)
		}
		errs = append(errs, &sdk.ConfigError{Path: path, Summary: err.Error()})
	}
	if s.CAFile != "" {
		if w.roots, err = readRoots(s.CAFile); err != nil {
			errs = append(errs, &sdk.ConfigError{Path: []string{"ca_file"}, Summary: "can't be used", Detail: err.Error()})
		}
	}
	for name, d := range map[string]time.Duration{"connect_timeout": s.ConnectTimeout, "answer_timeout": s.AnswerTimeout} {
		if d <= 0 {
			errs = append(errs, &sdk.ConfigError{Path: []string{name}, Summary: "must be more than 0"})
		}
	}
	if s.ProxyFromEnv {
		w.proxy = http.ProxyFromEnvironment
	}
	return w, errors.Join(errs...)
}

func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate is in it")
	}
	return roots, nil
}

// CheckConfig implements mcptransport.Transport's.
func (w *Web) CheckConfig(_ context.Context, config json.RawMessage) error {
	_, err := w.parse(config)
	return err
}

// Open gives a client of its own to a server. It fails with an *sdk.Error.
func (w *Web) Open(o mcptransport.Open) (*Client, error) {
	server, err := w.parse(o.Config)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: err.Error()}
	}
	return newClient(w, server), nil
}

// transport is one of a client's own: no server's requests share a connection
// with another's. HTTP/2's pings and TCP's keep-alives find out about dead
// connections, as streams may be silent for hours.
func (w *Web) transport() *http.Transport {
	d := &dialer{guard: w.guard, timeout: w.settings.ConnectTimeout}
	t := &http.Transport{
		DialContext:         d.dial,
		TLSClientConfig:     &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: w.settings.ConnectTimeout,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		// A compressed stream may hold events back.
		DisableCompression: true,
	}
	if w.proxy != nil {
		t.Proxy = d.via(w.proxy)
	}
	return t
}
