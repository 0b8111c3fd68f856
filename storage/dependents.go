package storage

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// sampleNames is the maximum number of names in a core.ObjectSample.
const sampleNames = 3

// AgentDependents implements core.PluginDependents.
func (db *DB) AgentDependents(
	ctx context.Context, dependencies []core.Dependency,
) (agents, tasks core.ObjectSample, err error) {
	if len(dependencies) == 0 {
		return core.ObjectSample{}, core.ObjectSample{}, nil
	}
	pairs := make([]any, len(dependencies))
	for i, d := range dependencies {
		pairs[i] = bun.Tuple([]string{d.Type, d.Model})
	}
	dependent := func() *bun.SelectQuery {
		return db.read.NewSelect().Model((*agentRow)(nil)).Where("(type, model) IN (VALUES ?)", bun.List(pairs))
	}
	if agents, err = db.sample(ctx, dependent, "name"); err != nil {
		return core.ObjectSample{}, core.ObjectSample{}, err
	}
	tasks, err = db.sample(ctx, func() *bun.SelectQuery {
		return db.read.NewSelect().Model((*taskRow)(nil)).Where("status IN ('pending', 'running')").
			Where("agent_id IN (?)", dependent().Column("id"))
	}, "title")
	return agents, tasks, err
}

// FileDependents implements core.PluginDependents.
func (db *DB) FileDependents(ctx context.Context, backend string) (core.ObjectSample, error) {
	return db.sample(ctx, func() *bun.SelectQuery {
		return db.read.NewSelect().Model((*fileRow)(nil)).Where("backend = ?", backend)
	}, "name")
}

// MCPServerDependents implements core.PluginDependents.
func (db *DB) MCPServerDependents(ctx context.Context, transport string) (core.ObjectSample, error) {
	return db.sample(ctx, func() *bun.SelectQuery {
		return db.read.NewSelect().Model((*mcpServerRow)(nil)).Where("transport = ?", transport)
	}, "name")
}

// sample returns the number of rows that the query selects, and the column name of the newest of them. Each call of
// query returns the same query without columns.
func (db *DB) sample(ctx context.Context, query func() *bun.SelectQuery, name string) (core.ObjectSample, error) {
	total, err := query().Count(ctx)
	if err != nil || total == 0 {
		return core.ObjectSample{}, db.translate(err)
	}
	var names []string
	err = query().Column(name).Order("created_at DESC", "id DESC").Limit(sampleNames).Scan(ctx, &names)
	if err != nil {
		return core.ObjectSample{}, db.translate(err)
	}
	return core.ObjectSample{Total: int(total), Names: names}, nil
}
