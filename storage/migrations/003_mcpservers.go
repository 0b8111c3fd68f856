package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// Config and secrets can be large, so they are the last columns: to read a column, SQLite reads everything before it.
type mcpServer003 struct {
	bun.BaseModel `bun:"table:mcp_servers"`

	ID           string `bun:"id,pk"`
	Name         string `bun:"name,notnull"`
	Description  string `bun:"description,notnull"`
	Slug         string `bun:"slug,notnull,unique"`
	Transport    string `bun:"transport,notnull"`
	Shared       bool   `bun:"shared,notnull"`
	ShareCreds   bool   `bun:"share_credentials,notnull"`
	Wanted       bool   `bun:"wanted,notnull"`
	Capabilities string `bun:"capabilities,notnull"`
	Version      int64  `bun:"version,notnull"`
	CreatedBy    string `bun:"created_by,notnull"`
	CreatedAt    int64  `bun:"created_at,notnull"`
	UpdatedAt    int64  `bun:"updated_at,notnull"`
	Config       string `bun:"config,notnull"`
	Secrets      []byte `bun:"secrets"`
}

type reservedSlug003 struct {
	bun.BaseModel `bun:"table:reserved_slugs"`

	Slug     string `bun:"slug,pk"`
	ServerID string `bun:"server_id,notnull"`
	UserID   string `bun:"user_id,notnull"`
}

// mcpServers adds MCP servers, the slugs of earlier ones, and to agents and runs the servers that they use, as
// JSON. It moves the config of agents to the end of their rows, and adds the indexes for lists of agents and servers.
func mcpServers(ctx context.Context, db bun.IDB) error {
	if _, err := db.NewCreateTable().Model((*mcpServer003)(nil)).Exec(ctx); err != nil {
		return err
	}
	if _, err := db.NewCreateTable().Model((*reservedSlug003)(nil)).Exec(ctx); err != nil {
		return err
	}
	for _, statement := range []string{
		`CREATE INDEX reserved_slugs_of_user ON reserved_slugs (user_id)`,
		`CREATE INDEX mcp_servers_user ON mcp_servers (created_by, created_at, id)`,
		`CREATE INDEX mcp_servers_shared ON mcp_servers (shared, created_at, id) WHERE shared = TRUE`,
		`ALTER TABLE agents ADD COLUMN mcp_servers VARCHAR NOT NULL DEFAULT ''`,
		`ALTER TABLE agents ADD COLUMN last_column VARCHAR NOT NULL DEFAULT ''`,
		`UPDATE agents SET last_column = config`,
		`ALTER TABLE agents DROP COLUMN config`,
		`ALTER TABLE agents RENAME COLUMN last_column TO config`,
		`CREATE INDEX agents_user ON agents (created_by, created_at, id)`,
		`CREATE INDEX agents_shared ON agents (shared, created_at, id) WHERE shared = TRUE`,
		`ALTER TABLE runs ADD COLUMN mcp_servers VARCHAR NOT NULL DEFAULT ''`,
		`ALTER TABLE runs ADD COLUMN agent_owner VARCHAR NOT NULL DEFAULT ''`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
