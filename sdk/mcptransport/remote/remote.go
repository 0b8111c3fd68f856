// Package remote helps to write transports to MCP servers with a URL. It provides their settings, the config
// of a server, an HTTP client that blocks private addresses, a reader of event streams, and functions for
// the parts of a message that a transport needs.
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

// Settings is the config block of a transport.
type Settings struct {
	Allow          []string      `config:"allow" doc:"hosts, IP addresses and networks that servers may use in addition to public addresses; link-local and cloud metadata addresses are never allowed"`
	CAFile         string        `config:"ca_file" doc:"PEM file with certificates to trust in addition to those of the system"`
	ProxyFromEnv   bool          `config:"proxy_from_env" default:"false" doc:"whether to use the proxies in HTTPS_PROXY, HTTP_PROXY and NO_PROXY; the proxy then resolves host names"`
	ConnectTimeout time.Duration `config:"connect_timeout" default:"10s" doc:"maximum time to open a connection"`
	AnswerTimeout  time.Duration `config:"answer_timeout" default:"10m" doc:"maximum time until a response starts; a stream that has started has no limit"`
}

// Web creates clients of MCP servers.
type Web struct {
	settings Settings
	guard    *netguard.Guard
	roots    *x509.CertPool
	proxy    func(*http.Request) (*url.URL, error)
}

// NewWeb returns a Web with the settings. It returns an *sdk.ConfigError for each invalid setting.
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
			errs = append(errs, &sdk.ConfigError{Path: []string{"ca_file"}, Summary: "is not usable", Detail: err.Error()})
		}
	}
	for name, d := range map[string]time.Duration{"connect_timeout": s.ConnectTimeout, "answer_timeout": s.AnswerTimeout} {
		if d <= 0 {
			errs = append(errs, &sdk.ConfigError{Path: []string{name}, Summary: "must be greater than 0"})
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
		return nil, errors.New("the file contains no certificate")
	}
	return roots, nil
}

// CheckConfig implements the method of mcptransport.Transport.
func (w *Web) CheckConfig(_ context.Context, config json.RawMessage) error {
	_, err := w.parse(config)
	return err
}

// Open returns a new client of a server. An error is an *sdk.Error.
func (w *Web) Open(o mcptransport.Open) (*Client, error) {
	server, err := w.parse(o.Config)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: err.Error()}
	}
	return newClient(w, server), nil
}

// transport returns a transport for one client, so that servers do not share connections. HTTP/2 pings and
// TCP keep-alives detect dead connections, because streams may be idle for hours.
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
		// Compression would delay events.
		DisableCompression: true,
	}
	if w.proxy != nil {
		t.Proxy = d.via(w.proxy)
	}
	return t
}
