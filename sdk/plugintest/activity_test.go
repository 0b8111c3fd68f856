package plugintest

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk/internal/loopback"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// silent is a plugin in another language whose Health reports no calls and no tasks.
type silent struct {
	basev1.UnimplementedBaseServiceServer
}

func (silent) Health(context.Context, *basev1.HealthRequest) (*basev1.HealthResponse, error) {
	return &basev1.HealthResponse{Healthy: true}, nil
}

// A plugin need not report its calls and tasks. The check then counts the threads of its process.
func TestActivity_unreported(t *testing.T) {
	t.Parallel()
	process := exec.CommandContext(t.Context(), "sleep", "60") // this process has the threads and files of other tests
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Wait() })
	p := &Plugin{
		Conn: loopback.Connect(t, func(s *grpc.Server) { basev1.RegisterBaseServiceServer(s, silent{}) }),
		cmd:  process,
	}
	if calls, ok := p.waitIdle(t, stopTime); calls != 0 || ok {
		t.Errorf("waitIdle() = %d, %t, want 0, false", calls, ok)
	}
	rounds := 0
	p.checkLeaks(t, "calls", func() { rounds++ })
	if rounds != warmUpRounds+leakRounds {
		t.Errorf("checkLeaks made %d rounds, want %d", rounds, warmUpRounds+leakRounds)
	}
	threads := p.resources(t)[0]
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skipf("the threads are not counted without /proc: %v", err)
	}
	if threads.name != "threads" || threads.count() < 1 {
		t.Errorf("resources()[0] = %s, %d, want the threads of the process", threads.name, threads.count())
	}
}
