package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/agentarea/agentarea/test/pgtest"
)

// taskRig is a server with llm-echo.
type taskRig struct {
	*rig
	dir string
}

const echoHCL = `plugin "agent" "chat" {
  command = "agent-chat"
}

plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["gpt-*", "echo"]
}
`

func newTaskRig(ctx context.Context, s *settings, env ...string) (*taskRig, error) {
	dir, err := os.MkdirTemp(s.dir, "tasks-")
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(s.server)
	if err != nil {
		return nil, err
	}
	r := &taskRig{rig: &rig{}, dir: dir}
	ctx, r.cancel = context.WithCancel(ctx)
	if err := r.startServer(ctx, dir, binary, []byte(echoHCL), env...); err != nil {
		r.close()
		return nil, err
	}
	var agent struct{ ID string }
	err = r.server.call(ctx, http.MethodPost, "/v1/agents", map[string]any{
		"name": "echo", "type": "chat", "config": map[string]any{"model": "echo"},
	}, &agent)
	if err != nil {
		r.close()
		return nil, err
	}
	r.server.agent = agent.ID
	return r, nil
}

// benchTask is a task in a reply.
type benchTask struct {
	ID        string
	Status    string
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at"`
	Error     struct{ Message string }
}

func (r *taskRig) newTask(ctx context.Context, title string) (t benchTask, err error) {
	err = r.server.call(ctx, http.MethodPost, "/v1/tasks", map[string]any{"title": title, "agent_id": r.server.agent}, &t)
	return t, err
}

// done polls until a task is completed.
func (r *taskRig) done(ctx context.Context, id string, every time.Duration) (t benchTask, err error) {
	for {
		if err := r.server.call(ctx, http.MethodGet, "/v1/tasks/"+id, nil, &t); err != nil {
			return t, err
		}
		switch t.Status {
		case "completed":
			return t, nil
		case "failed", "cancelled":
			return t, fmt.Errorf("task %s is %s: %s", id, t.Status, t.Error.Message)
		}
		if !sleep(ctx, every) {
			return t, ctx.Err()
		}
	}
}

const taskClients = 8

// tasks measures tasks on both databases: one after the other for the latency, and many at the same
// time for the rate. Then it kills one of two servers.
func tasks(ctx context.Context, s *settings) error {
	pg, err := pgtest.Launch(s.dir)
	if err != nil {
		return err
	}
	defer pg.Close()
	t := newTable(fmt.Sprintf("Tasks of one model call by llm-echo, created by %d clients; the queue's latency is from "+
		"created_at to started_at", taskClients),
		"database", "tasks a second, end to end", "one at a time: in the queue p50",
		"p99", "to the end p50", "p99", "CPU ms a task")
	for _, db := range []struct{ name, env string }{{"SQLite", ""}, {"PostgreSQL", "AGENTAREA_DATABASE_URL=" + pg.URL}} {
		if err := measureTasks(ctx, s, t, db.name, db.env); err != nil {
			return fmt.Errorf("%s: %w", db.name, err)
		}
	}
	t.print()
	return takeover(ctx, s, pg.URL)
}

func measureTasks(ctx context.Context, s *settings, t *table, name, env string) error {
	r, err := newTaskRig(ctx, s, env)
	if err != nil {
		return err
	}
	defer r.close()
	var queued, total []time.Duration
	for range s.scaled(300) {
		began := time.Now()
		created, err := r.newTask(ctx, "Hello")
		if err != nil {
			return err
		}
		ended, err := r.done(ctx, created.ID, 2*time.Millisecond)
		if err != nil {
			return err
		}
		queued, total = append(queued, ended.StartedAt.Sub(ended.CreatedAt)), append(total, time.Since(began))
	}
	before, err := cpuTime(r.server.pid())
	if err != nil {
		return err
	}
	n := s.scaled(2000)
	began := time.Now()
	ids, err := r.makeTasks(ctx, n)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := r.done(ctx, id, 50*time.Millisecond); err != nil {
			return err
		}
	}
	took := time.Since(began)
	after, err := cpuTime(r.server.pid())
	if err != nil {
		return err
	}
	t.row(name, fmt.Sprintf("%.0f", float64(n)/took.Seconds()), ms(percentile(queued, 0.5)), ms(percentile(queued, 0.99)),
		ms(percentile(total, 0.5)), ms(percentile(total, 0.99)),
		fmt.Sprintf("%.1f", (after-before).Seconds()*1000/float64(n)))
	return nil
}

func (r *taskRig) makeTasks(ctx context.Context, n int) (ids []string, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for client := range taskClients {
		wg.Go(func() {
			for i := client; i < n; i += taskClients {
				created, failed := r.newTask(ctx, fmt.Sprint("Hello ", i))
				mu.Lock()
				ids = append(ids, created.ID)
				if failed != nil {
					err = failed
				}
				stop := err != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	return ids, err
}

// takeover kills one of two servers while both run tasks of two seconds. Then it kills the remaining
// server and starts it again.
func takeover(ctx context.Context, s *settings, url string) error {
	env := []string{
		"AGENTAREA_DATABASE_URL=" + url,
		"AGENTAREA_SECRET_KEY=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	}
	first, err := newTaskRig(ctx, s, env...)
	if err != nil {
		return err
	}
	defer first.close()
	second, err := newTaskRig(ctx, s, env...)
	if err != nil {
		return err
	}
	defer second.close()
	var ids []string
	for range 16 {
		created, err := first.newTask(ctx, "/tokens 100 /delay 20ms")
		if err != nil {
			return err
		}
		ids = append(ids, created.ID)
	}
	sleep(ctx, time.Second)
	_ = first.server.process.cmd.Process.Kill()
	killed := time.Now()
	for _, id := range ids {
		if _, err := second.done(ctx, id, 50*time.Millisecond); err != nil {
			return err
		}
	}
	t := newTable("Takeover of tasks of 2 s; aim: a lost server's within 30 s", "", "from the kill to the end of all")
	t.row("one of two servers killed", fmt.Sprintf("%.1f s", time.Since(killed).Seconds()))
	t.print()
	return nil
}
