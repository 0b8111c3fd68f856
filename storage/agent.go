package storage

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type agentRow struct {
	bun.BaseModel `bun:"table:agents,alias:a"`

	ID          string `bun:"id,pk"`
	Name        string `bun:"name"`
	Description string `bun:"description"`
	Type        string `bun:"type"`
	Status      string `bun:"status"`
	Config      string `bun:"config"`
	Model       string `bun:"model"`
	// MCPServers is a JSON array of core.MCPServerRef, or empty.
	MCPServers string `bun:"mcp_servers"`
	Shared     bool   `bun:"shared"`
	Version    int64  `bun:"version"`
	CreatedBy  string `bun:"created_by"`
	CreatedAt  int64  `bun:"created_at"`
	UpdatedAt  int64  `bun:"updated_at"`
}

func agentRowOf(a *core.Agent) (*agentRow, error) {
	servers, err := serverRefsText(a.MCPServers)
	return &agentRow{
		ID: a.ID, Name: a.Name, Description: a.Description, Type: a.Type, Status: string(a.Status),
		Config: string(a.Config), Model: a.Model, MCPServers: servers, Shared: a.Shared, Version: a.Version,
		CreatedBy: a.CreatedBy, CreatedAt: micros(a.CreatedAt), UpdatedAt: micros(a.UpdatedAt),
	}, err
}

func (r *agentRow) agent() (*core.Agent, error) {
	servers, err := serverRefsOf(r.MCPServers)
	return &core.Agent{
		ID: r.ID, Name: r.Name, Description: r.Description, Type: r.Type, Status: core.AgentStatus(r.Status),
		Config: rawJSON(r.Config), Model: r.Model, MCPServers: servers, Shared: r.Shared, Version: r.Version,
		CreatedBy: r.CreatedBy, CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
	}, err
}

// serverRefsText returns the refs as they are stored in agents and runs.
func serverRefsText(refs []core.MCPServerRef) (string, error) {
	if len(refs) == 0 {
		return "", nil
	}
	b, err := json.Marshal(refs)
	return string(b), err
}

// serverRefsOf is the inverse of serverRefsText.
func serverRefsOf(text string) (refs []core.MCPServerRef, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &refs)
	return refs, err
}

// agentSeen is the condition for agents that an actor can see. agentSeenBy returns its arguments.
const agentSeen = "(? OR a.created_by = ? OR a.shared)"

func agentSeenBy(actor core.Actor) []any { return []any{actor.Admin(), actor.UserID} }

// agentsSeenBy restricts a query to the agents that an actor can see.
func agentsSeenBy(q *bun.SelectQuery, actor core.Actor) {
	if !actor.Admin() { // with "? OR …" SQLite would not use the indexes
		q.Where("(a.created_by = ? OR a.shared = TRUE)", actor.UserID)
	}
}

// agentChangedBy reports whether the actor can change an agent of the given creator.
func agentChangedBy(actor core.Actor, createdBy string) bool {
	return actor.Admin() || createdBy == actor.UserID
}

// CreateAgent implements core.AgentStore. It sets a.Version to 1.
func (db *DB) CreateAgent(ctx context.Context, audit *core.AuditRecord, a *core.Agent) error {
	row, err := agentRowOf(a)
	if err != nil {
		return err
	}
	row.Version = 1
	if err := db.quota.reserve(ctx, a.CreatedBy, row.size()); err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		own := tx.NewSelect().Model((*agentRow)(nil)).Where("created_by = ?", a.CreatedBy)
		if err := checkLimit(ctx, own, db.limits.Agents, "agent", "--max-agents"); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	db.quota.settle(a.CreatedBy, row.size(), err)
	if err == nil {
		a.Version = row.Version
	}
	return err
}

var selectAgent = &preparedStatement{`SELECT name, description, type, status, config, model, mcp_servers, shared,
	version,
created_by, created_at, updated_at FROM agents AS a WHERE id = ? AND ` + agentSeen}

// Agent implements core.AgentStore.
func (db *DB) Agent(ctx context.Context, actor core.Actor, id string) (*core.Agent, error) {
	r := agentRow{ID: id}
	err := db.queryRow(ctx, selectAgent, append([]any{id}, agentSeenBy(actor)...),
		&r.Name, &r.Description, &r.Type, &r.Status, &r.Config, &r.Model, &r.MCPServers, &r.Shared,
		&r.Version, &r.CreatedBy, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return nil, notFound(err, "agent", id)
	}
	return r.agent()
}

// Agents implements core.AgentStore.
func (db *DB) Agents(ctx context.Context, actor core.Actor, f core.AgentFilter) ([]*core.Agent, int, error) {
	var rows []agentRow
	q := db.read.NewSelect().Model(&rows).Order("created_at DESC", "id DESC")
	agentsSeenBy(q, actor)
	if f.Type != "" {
		q.Where("type = ?", f.Type)
	}
	if f.Status != "" {
		whereStatus(q, f.Status, f.Broken)
	}
	total, err := db.listSized(ctx, q, f.Page, "(a.created_at, a.id) < (?0, ?1)", "a.id", "a.description", "a.config")
	if err != nil {
		return nil, 0, err
	}
	agents := make([]*core.Agent, len(rows))
	for i := range rows {
		if agents[i], err = rows[i].agent(); err != nil {
			return nil, 0, err
		}
	}
	return agents, total, nil
}

// whereStatus selects agents by their effective status.
func whereStatus(q *bun.SelectQuery, status core.AgentStatus, broken []core.Dependency) {
	pairs := make([]any, len(broken))
	for i, b := range broken {
		pairs[i] = bun.Tuple([]string{b.Type, b.Model})
	}
	switch {
	case status != core.AgentError:
		q.Where("status = ?", string(status))
		if len(broken) > 0 {
			q.Where("(type, model) NOT IN (VALUES ?)", bun.List(pairs))
		}
	case len(broken) > 0:
		q.Where("(type, model) IN (VALUES ?)", bun.List(pairs))
	default:
		q.Where("FALSE")
	}
}

// AgentDependencies implements core.AgentStore.
func (db *DB) AgentDependencies(ctx context.Context, actor core.Actor) ([]core.Dependency, error) {
	var dependencies []core.Dependency
	q := db.read.NewSelect().Model((*agentRow)(nil)).Distinct().Column("type", "model").Order("type", "model")
	agentsSeenBy(q, actor)
	err := q.Scan(ctx, &dependencies)
	return dependencies, db.translate(err)
}

// UpdateAgent implements core.AgentStore.
func (db *DB) UpdateAgent(ctx context.Context, audit *core.AuditRecord, actor core.Actor, a *core.Agent) error {
	row, err := agentRowOf(a)
	if err != nil {
		return err
	}
	row.Version++
	owner, growth, err := db.reserveGrowth(ctx, selectAgentSize, a.ID, row.size())
	if err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if err := mayChangeAgent(ctx, tx, actor, a.ID, a.Version); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model(row).ExcludeColumn("created_by", "created_at").WherePK().Exec(ctx)
		return err
	})
	db.quota.settle(owner, growth, err)
	if err == nil {
		a.Version = row.Version
	}
	return err
}

// DeleteAgent implements core.AgentStore. Foreign keys delete the rows that belong to the agent.
func (db *DB) DeleteAgent(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, d core.AgentDeletion,
) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if err := mayChangeAgent(ctx, tx, actor, id, d.Version); err != nil {
			return err
		}
		busy, err := activeRuns(tx.NewSelect()).Where("agent_id = ?", id).Exists(ctx)
		if err != nil || busy {
			return cmp.Or(err, error(core.Conflict("The agent has active runs. Wait for them to end, or cancel them").
				WithObject("agent", id)))
		}
		waiting, err := tx.NewSelect().Model((*taskRow)(nil)).Where("agent_id = ?", id).
			Where("status IN ('pending', 'running')").Exists(ctx)
		if err != nil || waiting {
			return cmp.Or(err, error(core.Conflict("The agent has pending tasks. Wait for them to end, or cancel them").
				WithObject("agent", id)))
		}
		if err := mayDeleteParts(ctx, tx, id, d); err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*agentRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// mayDeleteParts fails with Forbidden if the agent has sessions or tasks that d keeps.
func mayDeleteParts(ctx context.Context, tx *tx, id string, d core.AgentDeletion) error {
	if d.KeepTasks {
		has, err := tx.NewSelect().Model((*taskRow)(nil)).Where("agent_id = ?", id).Exists(ctx)
		if err != nil {
			return err
		}
		if has {
			return core.Forbidden("The agent has tasks, which are deleted with it: the API key needs the scope tasks:write").
				WithObject("agent", id)
		}
	}
	if !d.KeepSessions {
		return nil
	}
	has, err := tx.NewSelect().Model((*sessionRow)(nil)).Where("agent_id = ?", id).
		Where("substr(id, 1, 5) <> 'task-'").Exists(ctx)
	if err == nil && has {
		return core.Forbidden("The agent has sessions, which are deleted with it: the API key needs the scope chat:write").
			WithObject("agent", id)
	}
	return err
}

var lockAgent = &preparedStatement{`SELECT created_by, version FROM agents AS a
WHERE id = ? AND ` + agentSeen + ` FOR UPDATE`}

// mayChangeAgent returns an error unless the actor can change the agent and version is 0 or the stored
// version. It locks the agent until the commit.
func mayChangeAgent(ctx context.Context, tx *tx, actor core.Actor, id string, version int64) error {
	var createdBy string
	var stored int64
	err := tx.queryRow(ctx, lockAgent, append([]any{id}, agentSeenBy(actor)...), &createdBy, &stored)
	if err != nil {
		return notFound(err, "agent", id)
	}
	if !agentChangedBy(actor, createdBy) {
		return core.Forbidden("Only the creator of the agent or an admin can change it").WithObject("agent", id)
	}
	if version != 0 && version != stored {
		return changedMeanwhile("agent", id)
	}
	return nil
}
