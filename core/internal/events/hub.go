package events

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// hubPollInterval is the interval at which the hub looks for notifications without a wakeup, because
// wakeups can be lost.
const hubPollInterval = 5 * time.Second

// Hub reads each new notification once and delivers it to the subscribers of its channels.
// It implements core.NotificationHub.
type Hub struct {
	store  core.NotificationStore
	logger *slog.Logger

	mu sync.Mutex
	// last is the number of the last delivered notification.
	last     int64
	channels map[string]map[*subscription]struct{}

	wakeups chan struct{}
	stop    func()
	done    chan struct{}
}

// subscription is the subscription of one subscriber to a channel.
type subscription struct {
	channel string
	filter  core.NotificationFilter
	queue   core.NotificationQueue
	// after is the number of the last notification that the subscriber has.
	after int64
}

// NewHub returns a Hub that delivers notifications stored from now on. Close stops it.
func NewHub(
	ctx context.Context, store core.NotificationStore, wakeups core.Wakeups, logger *slog.Logger,
) (*Hub, error) {
	h := &Hub{
		store: store, logger: logger, channels: map[string]map[*subscription]struct{}{},
		wakeups: make(chan struct{}, 1), done: make(chan struct{}),
	}
	unsubscribe := wakeups.Subscribe(func(w core.Wakeup) {
		if w.Topic == core.TopicNotifications {
			h.wake()
		}
	})
	var err error
	if h.last, err = store.LastNotification(ctx); err != nil {
		unsubscribe()
		return nil, err
	}
	loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = func() {
		unsubscribe()
		cancel()
	}
	go h.loop(loop)
	return h, nil
}

// Close stops the hub and waits for the delivery in progress.
func (h *Hub) Close() {
	h.stop()
	<-h.done
}

// wake starts a delivery, unless one is pending already.
func (h *Hub) wake() {
	select {
	case h.wakeups <- struct{}{}:
	default:
	}
}

func (h *Hub) loop(ctx context.Context) {
	defer close(h.done)
	ticker := time.NewTicker(hubPollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wakeups:
		case <-ticker.C:
		}
		if err := h.deliverNew(ctx); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "cannot read notifications, retrying", "error", err)
		}
	}
}

// deliverNew delivers all notifications that were not delivered yet.
func (h *Hub) deliverNew(ctx context.Context) error {
	for {
		page, more, err := h.store.Notifications(ctx, core.NotificationFilter{}, h.last, 0, pageSize)
		if err != nil {
			return err
		}
		for _, n := range page {
			h.deliver(n)
		}
		if !more {
			return nil
		}
	}
}

func (h *Hub) deliver(n *core.Notification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = n.Seq
	for _, channel := range channelsOf(n) {
		var message []byte
		for s := range h.channels[channel] {
			if n.Seq <= s.after || !s.filter.Matches(n) {
				continue
			}
			if message == nil {
				message = messageOf(n, channel)
			}
			s.queue.Put(message)
		}
	}
}

// channelsOf returns the channels to which a notification is delivered.
func channelsOf(n *core.Notification) []string {
	var names []string
	if n.AgentID != "" {
		names = append(names, core.AgentChannel(n.AgentID))
	}
	if n.TaskID != "" {
		names = append(names, core.TaskChannel(n.TaskID), core.ChannelTasks)
	}
	if n.Type == core.NotificationSystem {
		names = append(names, core.ChannelSystem)
	}
	return names
}

// messageOf returns the message that subscribers of channel receive for a notification.
func messageOf(n *core.Notification, channel string) []byte {
	data := make([]byte, 0, len(n.Data)+len(channel)+40)
	data = append(data, n.Data[:len(n.Data)-1]...)
	data = append(data, `,"channel":`...)
	data = appendString(data, channel)
	data = append(data, `,"seq":`...)
	data = strconv.AppendInt(data, n.Seq, 10)
	return append(data, '}')
}

// Last returns the number of the last delivered notification.
func (h *Hub) Last() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Newest implements core.NotificationHub.
func (h *Hub) Newest(ctx context.Context) (int64, error) {
	newest, err := h.store.NewestNotification(ctx)
	return max(newest, h.Last()), err
}

// Subscribe implements core.NotificationHub.
func (h *Hub) Subscribe(
	ctx context.Context, channel string, f core.NotificationFilter, after int64,
	q core.NotificationQueue, send func(messages [][]byte) error,
) (stop func(), err error) {
	s := &subscription{channel: channel, filter: f, queue: q, after: after}
	for !h.attach(s) {
		if err := h.catchUp(ctx, s, h.Last(), send); err != nil {
			return nil, err
		}
	}
	return func() { h.detach(s) }, nil
}

// attach starts the live delivery to s. It returns false if s misses a notification that
// was delivered already.
func (h *Hub) attach(s *subscription) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.after < h.last {
		return false
	}
	if h.channels[s.channel] == nil {
		h.channels[s.channel] = map[*subscription]struct{}{}
	}
	h.channels[s.channel][s] = struct{}{}
	return true
}

// catchUp sends the stored notifications up to the number upto.
func (h *Hub) catchUp(ctx context.Context, s *subscription, upto int64, send func([][]byte) error) error {
	for {
		page, more, err := h.store.Notifications(ctx, s.filter, s.after, upto, pageSize)
		if err != nil {
			return err
		}
		messages := make([][]byte, len(page))
		for i, n := range page {
			messages[i] = messageOf(n, s.channel)
			s.after = n.Seq
		}
		if err := send(messages); err != nil {
			return err
		}
		if !more {
			s.after = upto
			return nil
		}
	}
}

// detach stops the delivery to s. Messages in its queue stay there.
func (h *Hub) detach(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.channels[s.channel], s)
	if len(h.channels[s.channel]) == 0 {
		delete(h.channels, s.channel)
	}
}
