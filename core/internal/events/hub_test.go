package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// fakeStore is a NotificationStore and its Wakeups in memory.
type fakeStore struct {
	mu            sync.Mutex
	notifications []*core.Notification
	wake          func(core.Wakeup)
}

func (b *fakeStore) Subscribe(f func(core.Wakeup)) func() {
	b.wake = f
	return func() {}
}

func (b *fakeStore) AddNotification(_ context.Context, n *core.Notification) error {
	b.mu.Lock()
	n.Seq = int64(len(b.notifications) + 1)
	b.notifications = append(b.notifications, n)
	b.mu.Unlock()
	if b.wake != nil {
		b.wake(core.Wakeup{Topic: core.TopicNotifications})
	}
	return nil
}

func (b *fakeStore) Notifications(
	_ context.Context, f core.NotificationFilter, after, upto int64, limit int,
) ([]*core.Notification, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*core.Notification
	for _, n := range b.notifications {
		if n.Seq > after && (upto == 0 || n.Seq <= upto) && f.Matches(n) && len(found) < limit {
			found = append(found, n)
		}
	}
	return found, len(found) == limit, nil
}

func (b *fakeStore) LastNotification(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.notifications)), nil
}

func (b *fakeStore) NewestNotification(ctx context.Context) (int64, error) {
	return b.LastNotification(ctx)
}

func newHub(t *testing.T) (*Hub, *fakeStore) {
	t.Helper()
	b := &fakeStore{}
	h, err := NewHub(t.Context(), b, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, b
}

// recorder records the numbers of the notifications that it receives, from the queue and from
// send.
type recorder struct {
	mu   sync.Mutex
	seqs []int64
	t    *testing.T
}

func (r *recorder) Put(message []byte) {
	var m struct{ Seq int64 }
	if err := json.Unmarshal(message, &m); err != nil {
		r.t.Errorf("message %s is not JSON: %v", message, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seqs = append(r.seqs, m.Seq)
}

func (r *recorder) send(messages [][]byte) error {
	for _, m := range messages {
		r.Put(m)
	}
	return nil
}

// await waits for n notifications and returns the numbers of all received ones.
func (r *recorder) await(n int) []int64 {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		r.mu.Lock()
		all := r.seqs
		r.mu.Unlock()
		if len(all) >= n {
			return all
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("got %d notifications, want %d", len(all), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// A subscriber receives each notification of the channel once and in order, whenever it
// subscribes.
func TestHub_deliversEachNotificationOnceInOrder(t *testing.T) {
	t.Parallel()
	h, b := newHub(t)
	const writers, each = 4, 400
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				user := fmt.Sprint("user-", i%2)
				_ = b.AddNotification(t.Context(), &core.Notification{
					Type: core.NotificationTaskStatus, UserID: user, TaskID: fmt.Sprint("task-", w),
					Data: json.RawMessage(`{"type":"task.status"}`),
				})
			}
		})
	}
	var recorders []*recorder
	for i := range 30 {
		p := &recorder{t: t}
		recorders = append(recorders, p)
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			stop, err := h.Subscribe(t.Context(), core.ChannelTasks, core.NotificationFilter{UserID: "user-1"}, 0, p, p.send)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(stop)
		})
	}
	wg.Wait()
	for _, p := range recorders {
		all := p.await(writers * each / 2)
		for i := 1; i < len(all); i++ {
			if all[i] <= all[i-1] {
				t.Fatalf("notification %d comes after %d, want rising numbers", all[i], all[i-1])
			}
		}
		if len(all) != writers*each/2 {
			t.Errorf("got %d notifications, want %d", len(all), writers*each/2)
		}
	}
}

func TestHub_deliversToTheChannelsOfANotification(t *testing.T) {
	t.Parallel()
	h, b := newHub(t)
	recorders := map[string]*recorder{}
	channels := []string{core.AgentChannel("a"), core.TaskChannel("t"), core.ChannelTasks, core.ChannelSystem}
	for _, channel := range channels {
		p := &recorder{t: t}
		recorders[channel] = p
		stop, err := h.Subscribe(t.Context(), channel, core.NotificationFilter{UserID: "u"}, 0, p, p.send)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	for _, n := range []*core.Notification{
		{Type: core.NotificationAgentMessage, UserID: "u", AgentID: "a"},
		{Type: core.NotificationTaskStatus, UserID: "u", AgentID: "a", TaskID: "t"},
		{Type: core.NotificationTaskStatus, UserID: "other", AgentID: "a", TaskID: "x"},
		{Type: core.NotificationSystem, UserID: "other"},
		{Type: core.NotificationSystem},
	} {
		n.Data = json.RawMessage(`{"type":"x"}`)
		_ = b.AddNotification(t.Context(), n)
	}
	for channel, want := range map[string]string{
		core.AgentChannel("a"): "[1 2]", core.TaskChannel("t"): "[2]", core.ChannelTasks: "[2]", core.ChannelSystem: "[5]",
	} {
		if got := fmt.Sprint(recorders[channel].await(1 + len(want)/5)); got != want {
			t.Errorf("channel %s: got %s, want %s", channel, got, want)
		}
	}
}

func TestNotifier_storesInOrder(t *testing.T) {
	t.Parallel()
	b := &fakeStore{}
	n := NewNotifier(b, slog.New(slog.DiscardHandler))
	for i := range 100 {
		n.Notify(core.LevelInfo, "", fmt.Sprint("news ", i))
	}
	n.Close()
	if len(b.notifications) != 100 {
		t.Fatalf("got %d notifications, want 100", len(b.notifications))
	}
	for i, notification := range b.notifications {
		var m struct{ Message string }
		if err := json.Unmarshal(notification.Data, &m); err != nil || m.Message != fmt.Sprint("news ", i) {
			t.Errorf("notification %d: got %s, %v; want message %q", i, notification.Data, err, fmt.Sprint("news ", i))
		}
	}
}
