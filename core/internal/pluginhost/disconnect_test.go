package pluginhost

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
)

// A call whose process exits does not wait until its connection is found broken.
func TestDisconnected_exitEndsTheWait(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.WaitForStateChange(t.Context(), state)
	}
	i := &instance{conn: conn, proc: &process{exited: make(chan struct{})}}
	if i.disconnected(t.Context(), time.Millisecond) {
		t.Error("disconnected = true for a process that runs, want false")
	}
	go close(i.proc.exited)
	if !i.disconnected(t.Context(), time.Hour) {
		t.Error("disconnected = false after the exit, want true")
	}
}
