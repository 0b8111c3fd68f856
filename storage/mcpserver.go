package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

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
	// Secrets is null if there are none.
	Secrets          []byte `bun:"secrets,nullzero"`
	Shared           bool   `bun:"shared"`
	ShareCredentials bool   `bun:"share_credentials"`
	Wanted           bool   `bun:"wanted"`
	// Capabilities is a JSON array.
	Capabilities string `bun:"capabilities"`
	Version      int64  `bun:"version"`
	CreatedBy    string `bun:"created_by"`
	CreatedAt    int64  `bun:"created_at"`
	UpdatedAt    int64  `bun:"updated_at"`
}

func mcpServerRowOf(s *core.MCPServer) (*mcpServerRow, error) {
	names, err := capabilitiesText(s.Capabilities)
	return &mcpServerRow{
		ID: s.ID, Name: s.Name, Description: s.Description, Slug: s.Slug, Transport: s.Transport,
		Config: string(s.Config), Secrets: s.Secrets, Shared: s.Shared,
		ShareCredentials: s.ShareCredentials, Wanted: s.ShouldRun(), Capabilities: names,
		Version: s.Version, CreatedBy: s.CreatedBy, CreatedAt: micros(s.CreatedAt), UpdatedAt: micros(s.UpdatedAt),
	}, err
}

func (r *mcpServerRow) server() (*core.MCPServer, error) {
	s := &core.MCPServer{
		ID: r.ID, Name: r.Name, Description: r.Description, Slug: r.Slug, Transport: r.Transport,
		Config: rawJSON(r.Config), Secrets: r.Secrets, Shared: r.Shared,
		ShareCredentials: r.ShareCredentials, DesiredState: core.DesiredMCPState(r.Wanted),
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

// mcpServerSeen is the condition for MCP servers that an actor can see. mcpServerSeenBy returns its
// arguments. core.MCPServer.ChangeableBy and mayUseTransport decide who can change them.
const mcpServerSeen = "(? OR m.created_by = ? OR m.shared)"

func mcpServerSeenBy(actor core.Actor) []any { return []any{actor.Admin(), actor.UserID} }

// mcpServersSeenBy restricts a query to the MCP servers that an actor can see.
func mcpServersSeenBy(q *bun.SelectQuery, actor core.Actor) {
	if !actor.Admin() { // with "? OR …" SQLite would not use the indexes
		q.Where("(m.created_by = ? OR m.shared = TRUE)", actor.UserID)
	}
}

// mayUseTransport returns Forbidden if adminOnly is true and the actor is not an admin. It is true if only admins may
// configure servers of the transport.
func mayUseTransport(actor core.Actor, adminOnly bool) error {
	if adminOnly && !actor.Admin() {
		return core.Forbidden("Insufficient permissions: only an admin can create or change an MCP server with this " +
			"transport. Use another transport, such as http with a url").WithField("transport")
	}
	return nil
}

// CreateMCPServer implements core.MCPServerStore. It sets s.Version to 1.
func (db *DB) CreateMCPServer(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, s *core.MCPServer, adminOnly bool,
) error {
	if err := mayUseTransport(actor, adminOnly); err != nil {
		return err
	}
	row, err := mcpServerRowOf(s)
	if err != nil {
		return err
	}
	row.Version = 1
	if err := db.quota.reserve(ctx, s.CreatedBy, row.size()); err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if err := checkSlugUnused(ctx, tx, actor, s); err != nil {
			return err
		}
		own := tx.NewSelect().Model((*mcpServerRow)(nil)).Where("created_by = ?", s.CreatedBy)
		if err := checkLimit(ctx, own, db.limits.MCPServers, "MCP server", "--max-mcp-servers"); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		return takeSlug(ctx, tx, s.Slug, s.CreatedBy)
	})
	db.quota.settle(s.CreatedBy, row.size(), err)
	if err == nil {
		s.Version = row.Version
	}
	return err
}

// checkSlugUnused returns Conflict if another server has the slug of s. It names the server if the actor can see it.
func checkSlugUnused(ctx context.Context, tx *tx, actor core.Actor, s *core.MCPServer) error {
	var other mcpServerRow
	err := tx.NewSelect().Model(&other).Column("id", "created_by", "shared").Where("slug = ?", s.Slug).
		Where("id <> ?", s.ID).Limit(1).Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	e := core.Conflict("The slug %q is already in use. Choose another slug", s.Slug).WithField("slug")
	if other.Shared || other.CreatedBy == actor.UserID || actor.Admin() {
		e = e.WithObject(nounMCPServer, other.ID)
	}
	return e
}

const mcpServerColumns = `id, name, description, slug, transport, config, secrets, shared, share_credentials, wanted,
capabilities,
version, created_by, created_at, updated_at`

var (
	selectMCPServer = &preparedStatement{`SELECT ` + mcpServerColumns + ` FROM mcp_servers AS m
WHERE id = ? AND ` + mcpServerSeen}

	// selectMCPSlug is prepared because each call through the gateway uses it.
	selectMCPSlug = &preparedStatement{`SELECT ` + mcpServerColumns + ` FROM mcp_servers AS m
WHERE slug = ? AND ` + mcpServerSeen}
)

// MCPServer implements core.MCPServerStore.
func (db *DB) MCPServer(ctx context.Context, actor core.Actor, id string) (*core.MCPServer, error) {
	return db.oneMCPServer(ctx, selectMCPServer, actor, id)
}

// MCPServerBySlug implements core.MCPServerStore.
func (db *DB) MCPServerBySlug(ctx context.Context, actor core.Actor, slug string) (*core.MCPServer, error) {
	return db.oneMCPServer(ctx, selectMCPSlug, actor, slug)
}

// oneMCPServer returns the MCP server that a statement selects by key.
func (db *DB) oneMCPServer(
	ctx context.Context, p *preparedStatement, actor core.Actor, key string,
) (*core.MCPServer, error) {
	var r mcpServerRow
	err := db.queryRow(ctx, p, append([]any{key}, mcpServerSeenBy(actor)...),
		&r.ID, &r.Name, &r.Description, &r.Slug, &r.Transport, &r.Config, &r.Secrets, &r.Shared,
		&r.ShareCredentials, &r.Wanted, &r.Capabilities, &r.Version, &r.CreatedBy, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return nil, notFound(err, nounMCPServer, key)
	}
	return r.server()
}

const nounMCPServer = "MCP server"

// MCPServers implements core.MCPServerStore.
func (db *DB) MCPServers(ctx context.Context, actor core.Actor, p core.Page) ([]*core.MCPServer, int, error) {
	var rows []mcpServerRow
	q := db.read.NewSelect().Model(&rows).Order("created_at DESC", "id DESC")
	mcpServersSeenBy(q, actor)
	total, err := db.listSized(ctx, q, p, "(m.created_at, m.id) < (?0, ?1)", "m.id", "m.description", "m.config", "COALESCE(m.secrets, '')")
	if err != nil {
		return nil, 0, err
	}
	servers, err := mcpServersOf(rows)
	return servers, total, err
}

// UpdateMCPServer implements core.MCPServerStore.
func (db *DB) UpdateMCPServer(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, s *core.MCPServer, adminOnly bool,
) error {
	row, err := mcpServerRowOf(s)
	if err != nil {
		return err
	}
	row.Version++
	owner, growth, err := db.reserveGrowth(ctx, selectServerSize, s.ID, row.size())
	if err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		stored, err := lockMCPServerOf(ctx, tx, actor, s.ID)
		if err != nil {
			return err
		}
		if err := mayUseTransport(actor, adminOnly); err != nil {
			return err
		}
		if stored.Version != s.Version {
			return changedMeanwhile(nounMCPServer, s.ID)
		}
		if err := checkSlugUnused(ctx, tx, actor, s); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model(row).
			Column("name", "description", "slug", "transport", "config", "secrets", "shared",
				"share_credentials", "version", "updated_at").
			WherePK().Exec(ctx)
		if err != nil || stored.Slug == s.Slug {
			return err
		}
		if err := reserveSlug(ctx, tx, stored); err != nil {
			return err
		}
		return takeSlug(ctx, tx, s.Slug, stored.CreatedBy)
	})
	db.quota.settle(owner, growth, err)
	if err == nil {
		s.Version = row.Version
	}
	return err
}

// DeleteMCPServer implements core.MCPServerStore.
func (db *DB) DeleteMCPServer(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, d core.MCPServerDeletion,
) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		stored, err := lockMCPServerOf(ctx, tx, actor, id)
		if err != nil {
			return err
		}
		if d.Version != 0 && d.Version != stored.Version {
			return changedMeanwhile(nounMCPServer, id)
		}
		if !d.Force {
			if err := checkMCPServerUnused(ctx, tx, actor, stored); err != nil {
				return err
			}
		}
		if _, err = tx.NewDelete().Model((*mcpServerRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return err
		}
		return reserveSlug(ctx, tx, stored)
	})
}

// SetDesiredState implements core.MCPServerStore.
func (db *DB) SetDesiredState(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, state core.MCPDesiredState,
) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if _, err := lockMCPServerOf(ctx, tx, actor, id); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model((*mcpServerRow)(nil)).Set("wanted = ?", state == core.MCPDesiredRunning).
			Where("id = ?", id).Exec(ctx)
		return err
	})
}

var lockMCPServer = &preparedStatement{`SELECT slug, created_by, version FROM mcp_servers AS m
WHERE id = ? AND ` + mcpServerSeen + ` FOR UPDATE`}

// lockMCPServerOf returns a server that the actor can change, with the columns that changes need. It
// locks the server until the commit.
func lockMCPServerOf(ctx context.Context, tx *tx, actor core.Actor, id string) (*core.MCPServer, error) {
	s := &core.MCPServer{ID: id}
	err := tx.queryRow(ctx, lockMCPServer, append([]any{id}, mcpServerSeenBy(actor)...), &s.Slug, &s.CreatedBy, &s.Version)
	if err != nil {
		return nil, notFound(err, nounMCPServer, id)
	}
	if !s.ChangeableBy(actor) {
		return nil, core.Forbidden("Only the creator of the MCP server or an admin can change, start or stop it").
			WithObject(nounMCPServer, id)
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
	names, err := capabilitiesText(capabilities)
	if err != nil {
		return err
	}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewUpdate().Model((*mcpServerRow)(nil)).Set("capabilities = ?", names).Where("id = ?", id).Exec(ctx)
		return err
	})
}
