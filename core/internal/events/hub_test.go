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

// board is a NotificationStore that wakeups.
type board struct {
	mu            sync.Mutex
	notifications []*core.Notification
	raise         func(core.Wakeup)
	deaf          bool
}

func (b *board) Subscribe(f func(core.Wakeup)) func() {
	b.raise = f
	return func() {}
}

func (b *board) AddNotification(_ context.Context, n *core.Notification) error {
	b.mu.Lock()
	n.Seq = int64(len(b.notifications) + 1)
	b.notifications = append(b.notifications, n)
	deaf := b.deaf
	b.mu.Unlock()
	if !deaf && b.raise != nil {
		b.raise(core.Wakeup{Topic: core.TopicNotifications})
	}
	return nil
}

func (b *board) Notifications(_ context.Context, f core.NotificationFilter, after, upto int64, limit int) ([]*core.Notification, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*core.Notification
	for _, n := range b.notifications {
		if n.Seq > after && (upto == 0 || n.Seq <= upto) && f.Matches(n) && len(found) < limit {
			found = append(found, n)
		}
	}
	return found, nil
}

func (b *board) LastNotification(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.notifications)), nil
}

func newHub(t *testing.T) (*Hub, *board) {
	t.Helper()
	b := &board{}
	h, err := NewHub(t.Context(), b, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, b
}

// pile is a queue that keeps all, and a sender that puts there too.
type pile struct {
	mu  sync.Mutex
	all []int64
	t   *testing.T
}

func (p *pile) Put(message []byte) {
	var m struct{ Seq int64 }
	if err := json.Unmarshal(message, &m); err != nil {
		p.t.Errorf("%s: %v", message, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, m.Seq)
}

func (p *pile) send(messages [][]byte) error {
	for _, m := range messages {
		p.Put(m)
	}
	return nil
}

func (p *pile) await(n int) []int64 {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		p.mu.Lock()
		all := p.all
		p.mu.Unlock()
		if len(all) >= n {
			return all
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%d of %d came", len(all), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// Whenever somebody comes, and wherever he goes on: each notification of the channel
// comes once, and in order.
func TestHubLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	h, b := newHub(t)
	const writers, each = 4, 400
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				user := fmt.Sprint("user-", i%2)
				_ = b.AddNotification(t.Context(), &core.Notification{
					Type: core.NotificationTaskStatus, UserID: user, TaskID: fmt.Sprint("task-", w), Data: json.RawMessage(`{"type":"task.status"}`),
				})
			}
		})
	}
	var piles []*pile
	for i := range 30 {
		p := &pile{t: t}
		piles = append(piles, p)
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
	for _, p := range piles {
		all := p.await(writers * each / 2)
		for i := 1; i < len(all); i++ {
			if all[i] <= all[i-1] {
				t.Fatalf("%d comes after %d", all[i], all[i-1])
			}
		}
		if len(all) != writers*each/2 {
			t.Errorf("%d came", len(all))
		}
	}
}

func TestHubChannels(t *testing.T) {
	t.Parallel()
	h, b := newHub(t)
	piles := map[string]*pile{}
	for _, channel := range []string{core.AgentChannel("a"), core.TaskChannel("t"), core.ChannelTasks, core.ChannelSystem} {
		p := &pile{t: t}
		piles[channel] = p
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
		if got := fmt.Sprint(piles[channel].await(1 + len(want)/5)); got != want {
			t.Errorf("%s got %s, want %s", channel, got, want)
		}
	}
}

func TestNotifierStoresInOrder(t *testing.T) {
	t.Parallel()
	b := &board{}
	n := NewNotifier(b, slog.New(slog.DiscardHandler))
	for i := range 100 {
		n.Notify(core.LevelInfo, "", fmt.Sprint("news ", i))
	}
	n.Close()
	if len(b.notifications) != 100 {
		t.Fatalf("%d notifications", len(b.notifications))
	}
	for i, notification := range b.notifications {
		var m struct{ Message string }
		if err := json.Unmarshal(notification.Data, &m); err != nil || m.Message != fmt.Sprint("news ", i) {
			t.Errorf("%s, %v", notification.Data, err)
		}
	}
}
