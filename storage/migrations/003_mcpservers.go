package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

type mcpServer003 struct {
	bun.BaseModel `bun:"table:mcp_servers"`

	ID           string `bun:"id,pk"`
	Name         string `bun:"name,notnull"`
	Description  string `bun:"description,notnull"`
	Slug         string `bun:"slug,notnull,unique"`
	Transport    string `bun:"transport,notnull"`
	Config       string `bun:"config,notnull"`
	Secrets      []byte `bun:"secrets"`
	Shared       bool   `bun:"shared,notnull"`
	Wanted       bool   `bun:"wanted,notnull"`
	Capabilities string `bun:"capabilities,notnull"`
	Version      int64  `bun:"version,notnull"`
	CreatedBy    string `bun:"created_by,notnull"`
	CreatedAt    int64  `bun:"created_at,notnull"`
	UpdatedAt    int64  `bun:"updated_at,notnull"`
}

func mcpServers(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*mcpServer003)(nil)).Exec(ctx)
	return err
}
