package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// dialTimeout is the maximum duration of connecting to a server.
const dialTimeout = 5 * time.Second

// transport returns a transport whose connections fail when no data moves in either
// direction for the timeout.
func transport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: min(dialTimeout, timeout), KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &idleTimeoutConn{Conn: conn, timeout: timeout}, nil
		},
		TLSHandshakeTimeout:   min(10*time.Second, timeout),
		ResponseHeaderTimeout: timeout,
		MaxIdleConnsPerHost:   32,
		// Shorter than timeout, so that a reused connection does not time out immediately.
		IdleConnTimeout: min(timeout/2, time.Minute),
		WriteBufferSize: 64 << 10,
		ReadBufferSize:  64 << 10,
		// An object that is stored compressed is returned as stored.
		DisableCompression: true,
	}
}

// idleTimeoutConn fails a Read or Write when no data has moved in either direction for the
// timeout.
type idleTimeoutConn struct {
	net.Conn
	timeout time.Duration
}

func (c *idleTimeoutConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleTimeoutConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
