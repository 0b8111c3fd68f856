package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// usage009 is the usage of one completion, or of several completions of one day.
type usage009 struct {
	bun.BaseModel `bun:"table:token_usage"`

	Seq             int64  `bun:"seq,pk,autoincrement"`
	Day             int64  `bun:"day,notnull"`
	UserID          string `bun:"user_id,notnull"`
	AgentID         string `bun:"agent_id,notnull"`
	Model           string `bun:"model,notnull"`
	Completions     int64  `bun:"completions,notnull"`
	InputTokens     int64  `bun:"input_tokens,notnull"`
	OutputTokens    int64  `bun:"output_tokens,notnull"`
	CachedTokens    int64  `bun:"cached_tokens,notnull"`
	ReasoningTokens int64  `bun:"reasoning_tokens,notnull"`
}

func usage(ctx context.Context, db bun.IDB) error {
	if _, err := db.NewCreateTable().Model((*usage009)(nil)).Exec(ctx); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `CREATE INDEX token_usage_day ON token_usage (day)`)
	return err
}
