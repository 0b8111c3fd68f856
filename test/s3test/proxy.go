package s3test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy that fails on demand. It may be used concurrently.
type Proxy struct {
	// Endpoint is host:port.
	Endpoint string
	tb       testing.TB
	target   string

	mu       sync.Mutex
	changed  *sync.Cond
	listener net.Listener
	conns    map[net.Conn]bool
	stalled  bool
	delay    time.Duration
	// left is the number of bytes that may still go to the server. Negative means no limit.
	left    int64
	sent    int64
	running sync.WaitGroup
}

// NewProxy returns a working proxy to target (host:port) that ends with the test.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p := &Proxy{tb: tb, target: target, Endpoint: "127.0.0.1:0", conns: map[net.Conn]bool{}, left: -1}
	p.changed = sync.NewCond(&p.mu)
	p.Up()
	tb.Cleanup(func() {
		p.Down()
		p.running.Wait()
	})
	return p
}

// Up ends every failure: connections are accepted and all data passes.
func (p *Proxy) Up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled, p.delay, p.left = false, 0, -1
	p.changed.Broadcast()
	if p.listener != nil {
		return
	}
	l, err := net.Listen("tcp", p.Endpoint)
	if err != nil {
		p.tb.Errorf("restart the proxy: %v", err)
		return
	}
	p.listener, p.Endpoint = l, l.Addr().String()
	p.running.Go(func() { p.accept(l) })
}

// Down closes every connection and refuses new ones.
func (p *Proxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down()
}

func (p *Proxy) down() {
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	p.changed.Broadcast()
}

// Stall keeps every connection open and accepts new ones, but lets no data pass.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

// Slow delays each 64 KiB by delay.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// DownAfter calls Down after that many more bytes have been sent to the server.
func (p *Proxy) DownAfter(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = bytes
}

// Sent returns how many bytes have been sent to the server.
func (p *Proxy) Sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil || !p.add(l, client, server) {
			_ = client.Close()
			continue
		}
		p.running.Go(func() { p.copy(server, client, true) })
		p.running.Go(func() { p.copy(client, server, false) })
	}
}

// add registers a pair of connections. It returns false if the proxy has gone down in the meantime.
func (p *Proxy) add(l net.Listener, client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != l {
		_ = server.Close()
		return false
	}
	p.conns[client], p.conns[server] = true, true
	return true
}

func (p *Proxy) copy(to, from net.Conn, up bool) {
	defer p.remove(to, from)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.pass(from, n, up) {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// pass waits until n bytes may be forwarded. It returns false if they must be dropped.
func (p *Proxy) pass(from net.Conn, n int, up bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled && p.conns[from] {
		p.changed.Wait()
	}
	if delay := p.delay; delay > 0 {
		p.mu.Unlock()
		time.Sleep(delay)
		p.mu.Lock()
	}
	if !p.conns[from] {
		return false
	}
	if !up {
		return true
	}
	p.sent += int64(n)
	if p.left < 0 {
		return true
	}
	if p.left -= int64(n); p.left < 0 {
		p.down()
		return false
	}
	return true
}

func (p *Proxy) remove(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}
