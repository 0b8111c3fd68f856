package storage

import (
	"context"
	"encoding/json"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type mcpServerRow struct {
	bun.BaseModel `bun:"table:mcp_servers,alias:m"`

	ID          string `bun:"id,pk"`
	Name        string `bun:"name"`
	Description string `bun:"description"`
	Slug        string `bun:"slug"`
	Transport   string `bun:"transport"`
	Config      string `bun:"config"`
	// Secrets are null for none.
	Secrets []byte `bun:"secrets,nullzero"`
	Shared  bool   `bun:"shared"`
	Wanted  bool   `bun:"wanted"`
	// Capabilities is a JSON array.
	Capabilities string `bun:"capabilities"`
	Version      int64  `bun:"version"`
	CreatedBy    string `bun:"created_by"`
	CreatedAt    int64  `bun:"created_at"`
	UpdatedAt    int64  `bun:"updated_at"`
}

func mcpServerRowOf(s *core.MCPServer) (*mcpServerRow, error) {
	able, err := capabilitiesText(s.Capabilities)
	return &mcpServerRow{
		ID: s.ID, Name: s.Name, Description: s.Description, Slug: s.Slug, Transport: s.Transport,
		Config: string(s.Config), Secrets: s.Secrets, Shared: s.Shared, Wanted: s.ShouldRun(), Capabilities: able,
		Version: s.Version, CreatedBy: s.CreatedBy, CreatedAt: micros(s.CreatedAt), UpdatedAt: micros(s.UpdatedAt),
	}, err
}

func (r *mcpServerRow) server() (*core.MCPServer, error) {
	s := &core.MCPServer{
		ID: r.ID, Name: r.Name, Description: r.Description, Slug: r.Slug, Transport: r.Transport,
		Config: rawJSON(r.Config), Secrets: r.Secrets, Shared: r.Shared, DesiredState: core.DesiredMCPState(r.Wanted),
		Version: r.Version, CreatedBy: r.CreatedBy, CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
	}
	if r.Capabilities == "" {
		return s, nil
	}
	return s, json.Unmarshal([]byte(r.Capabilities), &s.Capabilities)
}

func mcpServersOf(rows []mcpServerRow) ([]*core.MCPServer, error) {
	servers := make([]*core.MCPServer, len(rows))
	for i := range rows {
		var err error
		if servers[i], err = rows[i].server(); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

func capabilitiesText(capabilities []string) (string, error) {
	if len(capabilities) == 0 {
		return "", nil
	}
	b, err := json.Marshal(capabilities)
	return string(b), err
}

// What a viewer sees of the MCP servers is said here and nowhere else; what it
// may change, by core.MCPServer's ChangedBy and by mayRunPrograms.
const mcpServerSeen = "(? OR m.created_by = ? OR m.shared)"

func mcpServerSeenBy(v core.Actor) []any { return []any{v.Admin(), v.UserID} }

// mayRunPrograms fails unless the viewer may create or change a server, whose
// transport runs programs on this machine if process says so.
func mayRunPrograms(v core.Actor, process bool) error {
	if process && !v.Admin() {
		return core.Forbidden("Insufficient permissions: this transport runs commands on the server's machine, " +
			"so only an admin may create or change such an MCP server; one that is reached by a url may be anybody's")
	}
	return nil
}

// CreateMCPServer implements core.MCPServerStore. The version becomes 1.
func (db *DB) CreateMCPServer(ctx context.Context, v core.Actor, s *core.MCPServer, process bool) error {
	if err := mayRunPrograms(v, process); err != nil {
		return err
	}
	row, err := mcpServerRowOf(s)
	if err != nil {
		return err
	}
	row.Version = 1
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := slugIsFree(ctx, tx, s); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	if err == nil {
		s.Version = row.Version
	}
	return err
}

// slugIsFree fails when another server has s's slug.
func slugIsFree(ctx context.Context, tx *tx, s *core.MCPServer) error {
	taken, err := tx.NewSelect().Model((*mcpServerRow)(nil)).Where("slug = ?", s.Slug).Where("id <> ?", s.ID).Exists(ctx)
	if err != nil || taken {
		return orConflict(err, "The slug %q is taken: choose another", s.Slug)
	}
	return nil
}

const mcpServerColumns = `id, name, description, slug, transport, config, secrets, shared, wanted, capabilities,
version, created_by, created_at, updated_at`

var (
	selectMCPServer = &preparedStatement{`SELECT ` + mcpServerColumns + ` FROM mcp_servers AS m WHERE id = ? AND ` + mcpServerSeen}

	// selectMCPSlug is on the path of each call through the gateway.
	selectMCPSlug = &preparedStatement{`SELECT ` + mcpServerColumns + ` FROM mcp_servers AS m WHERE slug = ? AND ` + mcpServerSeen}
)

// MCPServer implements core.MCPServerStore.
func (db *DB) MCPServer(ctx context.Context, v core.Actor, id string) (*core.MCPServer, error) {
	return db.oneMCPServer(ctx, selectMCPServer, v, id)
}

// MCPServerBySlug implements core.MCPServerStore.
func (db *DB) MCPServerBySlug(ctx context.Context, v core.Actor, slug string) (*core.MCPServer, error) {
	return db.oneMCPServer(ctx, selectMCPSlug, v, slug)
}

func (db *DB) oneMCPServer(ctx context.Context, p *preparedStatement, v core.Actor, key string) (*core.MCPServer, error) {
	var r mcpServerRow
	err := db.queryRow(ctx, p, append([]any{key}, mcpServerSeenBy(v)...),
		&r.ID, &r.Name, &r.Description, &r.Slug, &r.Transport, &r.Config, &r.Secrets, &r.Shared, &r.Wanted, &r.Capabilities,
		&r.Version, &r.CreatedBy, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return nil, notFound(err, nounMCPServer, key)
	}
	return r.server()
}

const nounMCPServer = "MCP server"

// MCPServers implements core.MCPServerStore.
func (db *DB) MCPServers(ctx context.Context, v core.Actor, p core.Page) ([]*core.MCPServer, int, error) {
	var rows []mcpServerRow
	q := db.read.NewSelect().Model(&rows).Where(mcpServerSeen, mcpServerSeenBy(v)...).Order("created_at DESC", "id DESC")
	total, err := db.list(ctx, q, p)
	if err != nil {
		return nil, 0, err
	}
	servers, err := mcpServersOf(rows)
	return servers, total, err
}

// UpdateMCPServer implements core.MCPServerStore. It raises s.Version too.
func (db *DB) UpdateMCPServer(ctx context.Context, v core.Actor, s *core.MCPServer, process bool) error {
	row, err := mcpServerRowOf(s)
	if err != nil {
		return err
	}
	row.Version++
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		stored, err := lockMCPServerOf(ctx, tx, v, s.ID)
		if err != nil {
			return err
		}
		if err := mayRunPrograms(v, process); err != nil {
			return err
		}
		if stored.Version != s.Version {
			return errMCPServerChanged
		}
		if err := slugIsFree(ctx, tx, s); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model(row).
			Column("name", "description", "slug", "transport", "config", "secrets", "shared", "version", "updated_at").
			WherePK().Exec(ctx)
		return err
	})
	if err == nil {
		s.Version = row.Version
	}
	return err
}

var errMCPServerChanged = &core.Error{
	Code: core.CodePreconditionFailed, Message: "The MCP server was changed meanwhile: read it again",
}

// DeleteMCPServer implements core.MCPServerStore. Version 0 is any.
func (db *DB) DeleteMCPServer(ctx context.Context, v core.Actor, id string, version int64) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		stored, err := lockMCPServerOf(ctx, tx, v, id)
		if err != nil {
			return err
		}
		if version != 0 && version != stored.Version {
			return errMCPServerChanged
		}
		_, err = tx.NewDelete().Model((*mcpServerRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// SetDesiredState implements core.MCPServerStore.
func (db *DB) SetDesiredState(ctx context.Context, v core.Actor, id string, state core.MCPDesiredState) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		if _, err := lockMCPServerOf(ctx, tx, v, id); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model((*mcpServerRow)(nil)).Set("wanted = ?", state == core.MCPDesiredRunning).Where("id = ?", id).Exec(ctx)
		return err
	})
}

var lockMCPServer = &preparedStatement{`SELECT created_by, version FROM mcp_servers AS m WHERE id = ? AND ` + mcpServerSeen + ` FOR UPDATE`}

// lockMCPServerOf reads what a change needs of a server that the viewer may
// change. It then stays so until the commit.
func lockMCPServerOf(ctx context.Context, tx *tx, v core.Actor, id string) (*core.MCPServer, error) {
	s := &core.MCPServer{ID: id}
	err := tx.queryRow(ctx, lockMCPServer, append([]any{id}, mcpServerSeenBy(v)...), &s.CreatedBy, &s.Version)
	if err != nil {
		return nil, notFound(err, nounMCPServer, id)
	}
	if !s.ChangeableBy(v) {
		return nil, core.Forbidden("Only who made the MCP server, or an admin, may change, start or stop it")
	}
	return s, nil
}

// MCPServersToRun implements core.MCPServerStore.
func (db *DB) MCPServersToRun(ctx context.Context) ([]*core.MCPServer, error) {
	var rows []mcpServerRow
	err := db.read.NewSelect().Model(&rows).Where("wanted").Order("created_at", "id").Scan(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	return mcpServersOf(rows)
}

// SetMCPCapabilities implements core.MCPServerStore.
func (db *DB) SetMCPCapabilities(ctx context.Context, id string, capabilities []string) error {
	able, err := capabilitiesText(capabilities)
	if err != nil {
		return err
	}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewUpdate().Model((*mcpServerRow)(nil)).Set("capabilities = ?", able).Where("id = ?", id).Exec(ctx)
		return err
	})
}
