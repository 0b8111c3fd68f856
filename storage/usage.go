package storage

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type usageRow struct {
	bun.BaseModel `bun:"table:token_usage,alias:u"`

	Day             int64  `bun:"day"`
	UserID          string `bun:"user_id"`
	AgentID         string `bun:"agent_id"`
	Model           string `bun:"model"`
	Completions     int64  `bun:"completions"`
	InputTokens     int64  `bun:"input_tokens"`
	OutputTokens    int64  `bun:"output_tokens"`
	CachedTokens    int64  `bun:"cached_tokens"`
	ReasoningTokens int64  `bun:"reasoning_tokens"`
}

const secondsPerDay = 24 * 60 * 60

// usage converts the row. Columns that were not selected are zero.
func (r *usageRow) usage() core.UsageRow {
	u := core.UsageRow{
		AgentID: r.AgentID, Model: r.Model, UserID: r.UserID, Completions: r.Completions,
		Usage: sdk.Usage{
			InputTokens: r.InputTokens, OutputTokens: r.OutputTokens,
			CachedInputTokens: r.CachedTokens, ReasoningTokens: r.ReasoningTokens,
		},
	}
	if r.Day != 0 {
		u.Day = time.Unix(r.Day*secondsPerDay, 0).UTC()
	}
	return u
}

// putUsage inserts a row for each completion. If all completions of a day updated one row, they would
// wait for each other's commits.
var putUsage = &preparedStatement{`INSERT INTO token_usage (day, user_id, agent_id, model, completions,
input_tokens, output_tokens, cached_tokens, reasoning_tokens) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)`}

// recordUsage stores the usage of a call, if it is an answered completion.
func recordUsage(ctx context.Context, tx *tx, run *core.Run, c *core.Call) error {
	if c == nil || !c.Done || c.ModelID == "" {
		return nil
	}
	_, err := tx.exec(ctx, putUsage, c.EndedAt.Unix()/secondsPerDay, run.UserID, run.AgentID, c.ModelID,
		c.Usage.InputTokens, c.Usage.OutputTokens, c.Usage.CachedInputTokens, c.Usage.ReasoningTokens)
	return err
}

// usageColumns maps each key to its column.
var usageColumns = map[core.UsageKey]string{
	core.UsageByDay: "day", core.UsageByAgent: "agent_id", core.UsageByModel: "model", core.UsageByUser: "user_id",
}

// Usage implements core.UsageStore.
func (db *DB) Usage(
	ctx context.Context, actor core.Actor, f core.UsageFilter,
) ([]core.UsageRow, int, core.UsageRow, error) {
	selected := func() *bun.SelectQuery {
		q := db.read.NewSelect().Model((*usageRow)(nil)).
			Where("u.day >= ?", f.From.Unix()/secondsPerDay).Where("u.day <= ?", f.To.Unix()/secondsPerDay)
		if !actor.Admin() {
			q = q.Where("u.user_id = ?", actor.UserID)
		}
		for column, value := range map[string]string{"agent_id": f.AgentID, "model": f.Model, "user_id": f.UserID} {
			if value != "" {
				q = q.Where("? = ?", bun.Ident("u."+column), value)
			}
		}
		return q
	}
	var sum usageRow
	if err := sums(selected()).Scan(ctx, &sum); err != nil {
		return nil, 0, core.UsageRow{}, err
	}
	if len(f.By) == 0 {
		total := sum.usage()
		return []core.UsageRow{total}, 1, total, nil
	}
	groups := func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, key := range f.By {
			q = q.ColumnExpr("?", bun.Ident("u."+usageColumns[key])).GroupExpr("?", bun.Ident("u."+usageColumns[key]))
		}
		return q
	}
	total, err := db.read.NewSelect().TableExpr("(?) AS g", groups(selected())).Count(ctx)
	if err != nil {
		return nil, 0, core.UsageRow{}, err
	}
	q := sums(groups(selected()))
	for _, key := range f.By {
		if key == core.UsageByDay {
			q = q.OrderExpr("u.day DESC")
		} else {
			q = q.OrderExpr("?", bun.Ident("u."+usageColumns[key]))
		}
	}
	if f.After != nil {
		if q, err = afterUsage(q, f.By, f.After); err != nil {
			return nil, 0, core.UsageRow{}, err
		}
	} else {
		q = q.Offset(int64(f.Offset))
	}
	var rows []usageRow
	if err := q.Limit(int64(f.Limit)).Scan(ctx, &rows); err != nil {
		return nil, 0, core.UsageRow{}, err
	}
	used := make([]core.UsageRow, len(rows))
	for i := range rows {
		used[i] = rows[i].usage()
	}
	return used, int(total), sum.usage(), nil
}

// afterUsage restricts a query to the groups after the one with the given key: a group has the same values of the
// first keys, and then a greater one, or an earlier day.
func afterUsage(q *bun.SelectQuery, by []core.UsageKey, after *core.PageKey) (*bun.SelectQuery, error) {
	last, err := core.UsageRowAfter(*after)
	if err != nil {
		return nil, err
	}
	values := map[core.UsageKey]any{
		core.UsageByDay: last.Day.Unix() / secondsPerDay, core.UsageByAgent: last.AgentID, core.UsageByModel: last.Model,
		core.UsageByUser: last.UserID,
	}
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		for i, key := range by {
			q = q.WhereGroup(" OR ", func(q *bun.SelectQuery) *bun.SelectQuery {
				for _, same := range by[:i] {
					q = q.Where("? = ?", bun.Ident("u."+usageColumns[same]), values[same])
				}
				if key == core.UsageByDay {
					return q.Where("u.day < ?", values[key])
				}
				return q.Where("? > ?", bun.Ident("u."+usageColumns[key]), values[key])
			})
		}
		return q
	}), nil
}

// sums adds the sums of all counts to the columns of a query.
func sums(q *bun.SelectQuery) *bun.SelectQuery {
	for _, column := range []string{"completions", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"} {
		q = q.ColumnExpr("CAST(COALESCE(SUM(?), 0) AS BIGINT) AS ?", bun.Ident("u."+column), bun.Ident(column))
	}
	return q
}
