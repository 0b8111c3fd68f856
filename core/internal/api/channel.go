package api

import (
	"context"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// channelFilter says which notifications somebody gets of a channel: the own ones, an
// admin all. It fails with NotFound for an agent or task that they do not see, and
// with Forbidden for what an API key is not good for.
func (a *api) channelFilter(ctx context.Context, p *core.Principal, channel string) (*core.NotificationFilter, error) {
	v := p.Actor()
	f := &core.NotificationFilter{UserID: v.UserID}
	switch channel {
	case core.ChannelTasks:
		if !p.Allows(core.ResourceTasks, false) {
			return nil, outOfScope(core.ResourceTasks, false)
		}
		f.Types = []core.NotificationType{core.NotificationTaskStatus}
		return f, nil
	case core.ChannelSystem:
		f.Types = []core.NotificationType{core.NotificationSystem}
		if v.Admin() {
			f.UserID = ""
		}
		return f, nil
	}
	rest, ok := strings.CutSuffix(channel, ".events")
	noun, id, named := strings.Cut(rest, ".")
	if !ok || !named || id == "" || noun != "agent" && noun != "task" {
		return nil, core.Invalid("channel", "There is no channel %q; there are: agent.{id}.events, task.{id}.events, tasks, system", channel)
	}
	if v.Admin() {
		f.UserID = ""
	}
	resource := core.ResourceTasks
	if noun == "agent" {
		resource = core.ResourceChat
	}
	if !p.Allows(resource, false) {
		return nil, outOfScope(resource, false)
	}
	if noun == "agent" {
		f.AgentID = id
		_, err := a.agents.Agent(ctx, v, id)
		return f, err
	}
	f.TaskID = id
	_, err := a.tasks.Task(ctx, v, id)
	return f, err
}
