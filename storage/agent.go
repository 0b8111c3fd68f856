package storage

import (
	"context"

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
	Shared      bool   `bun:"shared"`
	Version     int64  `bun:"version"`
	CreatedBy   string `bun:"created_by"`
	CreatedAt   int64  `bun:"created_at"`
	UpdatedAt   int64  `bun:"updated_at"`
}

func agentRowOf(a *core.Agent) *agentRow {
	return &agentRow{
		ID: a.ID, Name: a.Name, Description: a.Description, Type: a.Type, Status: string(a.Status),
		Config: string(a.Config), Model: a.Model, Shared: a.Shared, Version: a.Version,
		CreatedBy: a.CreatedBy, CreatedAt: micros(a.CreatedAt), UpdatedAt: micros(a.UpdatedAt),
	}
}

func (r *agentRow) agent() *core.Agent {
	return &core.Agent{
		ID: r.ID, Name: r.Name, Description: r.Description, Type: r.Type, Status: core.AgentStatus(r.Status),
		Config: rawJSON(r.Config), Model: r.Model, Shared: r.Shared, Version: r.Version,
		CreatedBy: r.CreatedBy, CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
	}
}

// What a viewer may see and change of the agents is said here and nowhere else.
const agentSeen = "(? OR a.created_by = ? OR a.shared)"

func agentSeenBy(v core.Actor) []any { return []any{v.Admin(), v.UserID} }

func agentChangedBy(v core.Actor, createdBy string) bool { return v.Admin() || createdBy == v.UserID }

// CreateAgent implements core.AgentStore. The version becomes 1.
func (db *DB) CreateAgent(ctx context.Context, a *core.Agent) error {
	row := agentRowOf(a)
	row.Version = 1
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	if err == nil {
		a.Version = row.Version
	}
	return err
}

var selectAgent = &preparedStatement{`SELECT name, description, type, status, config, model, shared, version,
created_by, created_at, updated_at FROM agents AS a WHERE id = ? AND ` + agentSeen}

// Agent implements core.AgentStore.
func (db *DB) Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error) {
	r := agentRow{ID: id}
	err := db.queryRow(ctx, selectAgent, append([]any{id}, agentSeenBy(v)...),
		&r.Name, &r.Description, &r.Type, &r.Status, &r.Config, &r.Model, &r.Shared, &r.Version,
		&r.CreatedBy, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return nil, notFound(err, "agent", id)
	}
	return r.agent(), nil
}

// Agents implements core.AgentStore.
func (db *DB) Agents(ctx context.Context, v core.Actor, f core.AgentFilter) ([]*core.Agent, int, error) {
	var rows []agentRow
	q := db.read.NewSelect().Model(&rows).Where(agentSeen, agentSeenBy(v)...).
		Order("created_at DESC", "id DESC")
	if f.Type != "" {
		q.Where("type = ?", f.Type)
	}
	if f.Status != "" {
		whereStatus(q, f.Status, f.Broken)
	}
	total, err := db.list(ctx, q, f.Page)
	if err != nil {
		return nil, 0, err
	}
	agents := make([]*core.Agent, len(rows))
	for i := range rows {
		agents[i] = rows[i].agent()
	}
	return agents, total, nil
}

// whereStatus compares the effective status.
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
func (db *DB) AgentDependencies(ctx context.Context, v core.Actor) ([]core.Dependency, error) {
	var dependencies []core.Dependency
	err := db.read.NewSelect().Model((*agentRow)(nil)).Distinct().Column("type", "model").
		Where(agentSeen, agentSeenBy(v)...).Order("type", "model").Scan(ctx, &dependencies)
	return dependencies, db.translate(err)
}

// UpdateAgent implements core.AgentStore. It raises a.Version too.
func (db *DB) UpdateAgent(ctx context.Context, v core.Actor, a *core.Agent) error {
	row := agentRowOf(a)
	row.Version++
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := mayChangeAgent(ctx, tx, v, a.ID, a.Version); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model(row).ExcludeColumn("created_by", "created_at").WherePK().Exec(ctx)
		return err
	})
	if err == nil {
		a.Version = row.Version
	}
	return err
}

// DeleteAgent implements core.AgentStore. What belongs to the agent goes by its
// foreign keys.
func (db *DB) DeleteAgent(ctx context.Context, v core.Actor, id string, version int64) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := mayChangeAgent(ctx, tx, v, id, version); err != nil {
			return err
		}
		busy, err := underWay(tx.NewSelect()).Where("agent_id = ?", id).Exists(ctx)
		if err != nil || busy {
			return orConflict(err, "The agent is at work: wait for its runs, or cancel them")
		}
		waiting, err := tx.NewSelect().Model((*taskRow)(nil)).Where("agent_id = ?", id).Where("status IN ('pending', 'running')").Exists(ctx)
		if err != nil || waiting {
			return orConflict(err, "Tasks of the agent wait: let them end, or cancel them")
		}
		_, err = tx.NewDelete().Model((*agentRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

var lockAgent = &preparedStatement{`SELECT created_by, version FROM agents AS a WHERE id = ? AND ` + agentSeen + ` FOR UPDATE`}

// mayChangeAgent fails unless the viewer may change the agent and it has that
// version, if one is given.
func mayChangeAgent(ctx context.Context, tx *tx, v core.Actor, id string, version int64) error {
	var createdBy string
	var stored int64
	err := tx.queryRow(ctx, lockAgent, append([]any{id}, agentSeenBy(v)...), &createdBy, &stored)
	if err != nil {
		return notFound(err, "agent", id)
	}
	if !agentChangedBy(v, createdBy) {
		return core.Forbidden("Only who made the agent, or an admin, may change it")
	}
	if version != 0 && version != stored {
		return &core.Error{
			Code: core.CodePreconditionFailed, Message: "The agent was changed meanwhile: read it again",
		}
	}
	return nil
}
