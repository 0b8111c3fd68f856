package events

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// lookEvery is how often the hub looks for notifications by itself, for wakeups get lost.
const lookEvery = 5 * time.Second

// Hub reads each new notification once and hands it to those who watch its channels. It
// implements core.NotificationHub.
type Hub struct {
	store  core.NotificationStore
	logger *slog.Logger

	mu sync.Mutex
	// last is the number up to which all notifications were handed out.
	last     int64
	channels map[string]map[*subscription]struct{}

	kick chan struct{}
	stop func()
	done chan struct{}
}

// subscription is one subscriber's interest in a channel.
type subscription struct {
	channel string
	filter  core.NotificationFilter
	queue   core.NotificationQueue
	// after is the number above which notifications are wanted.
	after int64
}

// NewHub makes a hub that hands out what is new from now on. Close ends it.
func NewHub(ctx context.Context, store core.NotificationStore, wakeups core.Wakeups, logger *slog.Logger) (*Hub, error) {
	h := &Hub{
		store: store, logger: logger, channels: map[string]map[*subscription]struct{}{},
		kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	unsubscribe := wakeups.Subscribe(func(s core.Wakeup) {
		if s.Topic == core.TopicNotifications {
			h.wake()
		}
	})
	var err error
	if h.last, err = store.LastNotification(ctx); err != nil {
		unsubscribe()
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = func() {
		unsubscribe()
		cancel()
	}
	go h.loop(run)
	return h, nil
}

// Close ends the hub.
func (h *Hub) Close() {
	h.stop()
	<-h.done
}

func (h *Hub) wake() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

func (h *Hub) loop(ctx context.Context) {
	defer close(h.done)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.kick:
		case <-ticker.C:
		}
		if err := h.look(ctx); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "notifications not read: trying again", "error", err)
		}
	}
}

// look hands out all that is new.
func (h *Hub) look(ctx context.Context) error {
	for {
		found, err := h.store.Notifications(ctx, core.NotificationFilter{}, h.last, 0, pageSize)
		if err != nil {
			return err
		}
		for _, n := range found {
			h.handOut(n)
		}
		if len(found) < pageSize {
			return nil
		}
	}
}

func (h *Hub) handOut(n *core.Notification) {
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

// channelsOf names the channels that a notification goes to.
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

// messageOf is a notification as the watchers of a channel get it.
func messageOf(n *core.Notification, channel string) []byte {
	data := make([]byte, 0, len(n.Data)+len(channel)+40)
	data = append(data, n.Data[:len(n.Data)-1]...)
	data = append(data, `,"channel":`...)
	data = appendString(data, channel)
	data = append(data, `,"seq":`...)
	data = strconv.AppendInt(data, n.Seq, 10)
	return append(data, '}')
}

// Last is the number up to which notifications were handed out.
func (h *Hub) Last() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Subscribe implements core.NotificationHub.
func (h *Hub) Subscribe(
	ctx context.Context, channel string, f core.NotificationFilter, after int64, q core.NotificationQueue, send func(messages [][]byte) error,
) (stop func(), err error) {
	s := &subscription{channel: channel, filter: f, queue: q, after: after}
	for !h.attach(s) {
		upto := h.Last()
		if err := h.catchUp(ctx, s, upto, send); err != nil {
			return nil, err
		}
	}
	return func() { h.detach(s) }, nil
}

// attach begins the live part, if nothing was handed out that s lacks.
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

func (h *Hub) catchUp(ctx context.Context, s *subscription, upto int64, send func([][]byte) error) error {
	for {
		found, err := h.store.Notifications(ctx, s.filter, s.after, upto, pageSize)
		if err != nil {
			return err
		}
		messages := make([][]byte, len(found))
		for i, n := range found {
			messages[i] = messageOf(n, s.channel)
			s.after = n.Seq
		}
		if err := send(messages); err != nil {
			return err
		}
		if len(found) < pageSize {
			s.after = upto
			return nil
		}
	}
}

// detach ends a subscription. What is in the queue stays there.
func (h *Hub) detach(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.channels[s.channel], s)
	if len(h.channels[s.channel]) == 0 {
		delete(h.channels, s.channel)
	}
}
