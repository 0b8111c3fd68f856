package datadir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// claim binds an abstract Unix socket whose name is derived from the instance. The kernel lets one process
// of a network namespace bind it, and releases it when the process ends. The socket answers each connection
// with the owner. If another process has bound it, claim returns no closer, and the other owner.
func claim(instance, owner string) (closer io.Closer, other string, err error) {
	sum := sha256.Sum256([]byte("agentarea instance " + instance))
	address := &net.UnixAddr{Net: "unix", Name: "@agentarea-" + hex.EncodeToString(sum[:16])}
	listener, err := net.ListenUnix("unix", address)
	if err == nil {
		go answer(listener, owner)
		return listener, "", nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, "", err
	}
	conn, err := net.DialUnix("unix", nil, address)
	if err != nil {
		return nil, "an unknown process", nil //nolint:nilerr // the name is taken, whatever its owner says
	}
	defer conn.Close() //nolint:errcheck // it is only read
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	return nil, readOwner(conn), nil
}

// answer writes the owner to each connection until the listener is closed.
func answer(listener *net.UnixListener, owner string) {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(100 * time.Millisecond) // too many open files
			continue
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, owner+"\n")
		_ = conn.Close()
	}
}
