package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// toolList013 is a list of tools that one or more calls returned. Its hash is the SHA-256 of data in
// hexadecimal.
type toolList013 struct {
	bun.BaseModel `bun:"table:tool_lists"`

	Hash      string `bun:"hash,pk"`
	Data      string `bun:"data,notnull"`
	CreatedAt int64  `bun:"created_at,notnull"`
}

// toolLists adds a table that stores each list of tools once. A call with a list has an empty result.
func toolLists(ctx context.Context, db bun.IDB) error {
	if _, err := db.NewCreateTable().Model((*toolList013)(nil)).Exec(ctx); err != nil {
		return err
	}
	for _, statement := range []string{
		`ALTER TABLE calls ADD COLUMN tool_list VARCHAR`,
		`CREATE INDEX calls_tool_list ON calls (tool_list) WHERE tool_list IS NOT NULL`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
