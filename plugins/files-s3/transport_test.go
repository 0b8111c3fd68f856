package main

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A transfer may take long, as long as data moves. It fails when none has moved for the timeout.
func TestIdleTimeoutConn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		conn := &idleTimeoutConn{Conn: here, timeout: 30 * time.Second}
		defer conn.Close()
		go func() {
			for range 3 {
				time.Sleep(20 * time.Second)
				if _, err := there.Write([]byte("x")); err != nil {
					t.Error(err)
				}
			}
		}()
		began := time.Now()
		buf := make([]byte, 1)
		for range 3 {
			if _, err := conn.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read() = %v when no data moves, want %v", err, os.ErrDeadlineExceeded)
		}
		if took := time.Since(began); took != 90*time.Second {
			t.Errorf("the connection failed after %s, want 90s", took)
		}
	})
}
