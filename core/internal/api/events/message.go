package events

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// clientMessage is a message from a client.
type clientMessage struct {
	Type    string
	Token   string
	Channel string
	After   *int64
}

// messageFields are the sorted names of the fields of a message.
var messageFields = []string{"after", "channel", "token", "type"}

const messageTypes = "Types: auth, subscribe, unsubscribe, ping"

// decodeObject returns the fields of a message. It fails with Invalid or PayloadTooLarge if the frame is not a JSON
// object.
func decodeObject(kind websocket.MessageType, data []byte) (map[string]json.RawMessage, error) {
	if kind != websocket.MessageText {
		return nil, core.Invalid("body", "Must be a JSON object in a text frame, not in a binary one")
	}
	if err := api.CheckJSON(data, ""); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return nil, core.Invalid("body", `Must be a JSON object such as {"type":"subscribe","channel":"tasks"}`)
	}
	return fields, nil
}

// newMessage returns the message with the fields. It fails with Invalid for the first field that is unknown or has the
// wrong type.
func newMessage(fields map[string]json.RawMessage) (*clientMessage, error) {
	m := new(clientMessage)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var target any
		want := "a string"
		switch name {
		case "type":
			target = &m.Type
		case "token":
			target = &m.Token
		case "channel":
			target = &m.Channel
		case "after":
			target, want = &m.After, "an integer"
		default:
			return nil, core.Invalid(name, "%s", core.UnknownField(name, messageFields))
		}
		if json.Unmarshal(fields[name], target) != nil {
			return nil, core.Invalid(name, "Must be %s", want)
		}
	}
	switch {
	case m.Type == "":
		return nil, core.Invalid("type", "Field is required. "+messageTypes)
	case m.After != nil && *m.After < 0:
		return nil, core.Invalid("after", "Must be the seq of a message, or 0")
	}
	return m, nil
}

// inField returns err with the field at fault, unless it names one already.
func inField(err error, field string) error {
	var e *core.Error
	if errors.As(err, &e) && len(e.Fields) == 0 {
		return e.WithField(field)
	}
	return err
}

// handle executes a message and replies to it.
func (c *connection) handle(m *clientMessage) error {
	switch m.Type {
	case "auth":
		if err := c.authenticate(m.Token); err != nil {
			return inField(err, "token")
		}
		return c.send(map[string]string{"type": "auth.ok"})
	case "subscribe":
		return c.subscribe(m)
	case "unsubscribe":
		stop := c.channels[m.Channel]
		if stop == nil {
			return core.Invalid("channel", "Not subscribed to channel %q", m.Channel)
		}
		stop()
		delete(c.channels, m.Channel)
		return c.send(map[string]string{"type": "unsubscribed", "channel": m.Channel})
	case "ping":
		return c.send(map[string]string{"type": "pong"})
	}
	return core.Invalid("type", "Unknown message type %q. "+messageTypes, m.Type)
}

func (c *connection) subscribe(m *clientMessage) error {
	if c.channels[m.Channel] == nil && len(c.channels) >= maxChannels {
		return &core.Error{Code: core.CodeRateLimited, Message: "Too many subscriptions. Unsubscribe from a channel first."}
	}
	filter, err := c.server.filter(c.ctx, c.currentPrincipal(), m.Channel)
	if err != nil {
		c.recordRefusal(err, m.Channel)
		return inField(err, "channel")
	}
	if err := c.checkAfter(m.After); err != nil {
		return err
	}
	if stop := c.channels[m.Channel]; stop != nil {
		stop()
		delete(c.channels, m.Channel)
	}
	hub := c.server.Hub
	after := hub.Last()
	if m.After != nil {
		after = *m.After
		leave, err := c.server.replays.Enter(c.ctx, c.currentPrincipal().User.ID)
		if err != nil {
			return err
		}
		defer leave()
	}
	err = c.send(struct {
		Type    string `json:"type"`
		Channel string `json:"channel"`
		Seq     int64  `json:"seq"`
	}{"subscribed", m.Channel, after})
	if err != nil {
		return err
	}
	stop, err := hub.Subscribe(c.ctx, m.Channel, *filter, after, &c.queue, c.write)
	if err != nil {
		return err
	}
	c.channels[m.Channel] = stop
	return nil
}

// checkAfter fails with Invalid if no message has reached the number yet. A message that another server has stored can
// be newer than the last one that this server has delivered.
func (c *connection) checkAfter(after *int64) error {
	hub := c.server.Hub
	if after == nil || *after <= hub.Last() {
		return nil
	}
	newest, err := hub.Newest(c.ctx)
	if err != nil || *after <= newest {
		return err
	}
	return core.Invalid("after", "Must be at most %d, which is the seq of the newest message. Omit it to receive only "+
		"later messages.", newest)
}

// filter returns the filter for the notifications that p may see on a channel: p's own, or all for an
// admin. An API key without a scope for tasks sees no notifications of tasks on the channel of an agent,
// and one without a scope for administrators sees only its user's system notifications. filter fails with
// NotFound for an agent or task that p may not see, and with Forbidden if the scopes of an API key do not cover
// the channel.
func (s *server) filter(ctx context.Context, p *core.Principal, channel string) (*core.NotificationFilter, error) {
	v := p.Actor()
	f := &core.NotificationFilter{UserID: v.UserID}
	switch channel {
	case core.ChannelTasks:
		if !p.Allows(core.ResourceTasks, false) {
			return nil, api.MissingScope(core.ResourceTasks, false)
		}
		f.Types = []core.NotificationType{core.NotificationTaskStatus}
		return f, nil
	case core.ChannelSystem:
		f.Types = []core.NotificationType{core.NotificationSystem}
		if v.Admin() && p.Allows(core.ResourceAdmin, false) {
			f.UserID = ""
		}
		return f, nil
	}
	rest, ok := strings.CutSuffix(channel, ".events")
	noun, id, named := strings.Cut(rest, ".")
	if !ok || !named || id == "" || noun != "agent" && noun != "task" {
		return nil, core.Invalid("channel",
			"Unknown channel %q. Channels: agent.{id}.events, task.{id}.events, tasks, system", channel)
	}
	if v.Admin() {
		f.UserID = ""
	}
	resource := core.ResourceTasks
	if noun == "agent" {
		resource = core.ResourceChat
	}
	if !p.Allows(resource, false) {
		return nil, api.MissingScope(resource, false)
	}
	if noun == "agent" {
		f.AgentID = id
		f.WithoutTasks = !p.Allows(core.ResourceTasks, false)
		_, err := s.Agents.Agent(ctx, v, id)
		return f, err
	}
	f.TaskID = id
	f.Types = []core.NotificationType{core.NotificationTaskStatus}
	_, err := s.Tasks.Task(ctx, v, id)
	return f, err
}
