package api

import (
	"context"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// channelFilter says which notices a viewer gets of a channel: the own ones, an
// admin all. It fails with NotFound for an agent or task that the viewer does not
// see.
func (a *api) channelFilter(ctx context.Context, v core.Viewer, channel string) (*core.NoticeFilter, error) {
	f := &core.NoticeFilter{UserID: v.UserID}
	switch channel {
	case core.ChannelTasks:
		f.Types = []core.NoticeType{core.NoticeTaskStatus}
		return f, nil
	case core.ChannelSystem:
		f.Types = []core.NoticeType{core.NoticeSystem}
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
	if noun == "agent" {
		f.AgentID = id
		_, err := a.agents.Agent(ctx, v, id)
		return f, err
	}
	f.TaskID = id
	_, err := a.tasks.Task(ctx, v, id)
	return f, err
}
