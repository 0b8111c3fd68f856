package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// dialTimeout is how long a server may take to be connected to.
const dialTimeout = 5 * time.Second

// transport has connections that fail when nothing moves for as long as timeout,
// in either direction.
func transport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: min(dialTimeout, timeout), KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: conn, timeout: timeout}, nil
		},
		TLSHandshakeTimeout:   min(10*time.Second, timeout),
		ResponseHeaderTimeout: timeout,
		MaxIdleConnsPerHost:   32,
		// Before the connection's own timeout ends it under a new request.
		IdleConnTimeout: min(timeout/2, time.Minute),
		WriteBufferSize: 64 << 10,
		ReadBufferSize:  64 << 10,
		// What is kept compressed is given as it is kept.
		DisableCompression: true,
	}
}

// watchedConn fails a Read or Write during which, for timeout, neither direction
// has moved.
type watchedConn struct {
	net.Conn
	timeout time.Duration
}

func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
