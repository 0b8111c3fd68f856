package storage

import (
	"context"
	"database/sql"
	"errors"

	"github.com/agentarea/agentarea/core"
)

// reserved_slugs contains the slugs of renamed and deleted MCP servers. Only the creator of such a server can
// use its slug again, so that requests for the old server never reach a server of another user.

// maxReservedSlugs is the maximum number of reserved slugs of a user. A user who has that many can only
// use one of them for a new or renamed server.
const maxReservedSlugs = 1000

var (
	insertReservedSlug = &preparedStatement{`INSERT INTO reserved_slugs (slug, server_id, user_id) VALUES (?, ?, ?)
ON CONFLICT (slug) DO UPDATE SET server_id = EXCLUDED.server_id, user_id = EXCLUDED.user_id`}

	selectReservedSlug = &preparedStatement{`SELECT user_id FROM reserved_slugs WHERE slug = ?`}

	deleteReservedSlug = &preparedStatement{`DELETE FROM reserved_slugs WHERE slug = ?`}

	countReservedSlugs = &preparedStatement{`SELECT COUNT(*) FROM reserved_slugs WHERE user_id = ?`}
)

// reserveSlug reserves the slug of a server that is deleted or gets another slug for the server's creator.
func reserveSlug(ctx context.Context, tx *tx, s *core.MCPServer) error {
	_, err := tx.exec(ctx, insertReservedSlug, s.Slug, s.ID, s.CreatedBy)
	return err
}

// takeSlug ends the reservation of a slug that a server of the user now has. It fails with Conflict if the
// slug is reserved for another user, or if it is not reserved and the user has maxReservedSlugs others. Call
// it after the row of the server is written: the unique slug then keeps other transactions from using
// and freeing the slug in between.
func takeSlug(ctx context.Context, tx *tx, slug, userID string) error {
	var reservedFor string
	err := tx.queryRow(ctx, selectReservedSlug, []any{slug}, &reservedFor)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return checkReservedSlugs(ctx, tx, userID)
	case err != nil:
		return err
	case reservedFor != userID:
		return core.Conflict("The slug %q is reserved, because an MCP server of another user had it. Choose another slug",
			slug).WithField("slug")
	}
	_, err = tx.exec(ctx, deleteReservedSlug, slug)
	return err
}

// checkReservedSlugs fails with Conflict if the user has maxReservedSlugs.
func checkReservedSlugs(ctx context.Context, tx *tx, userID string) error {
	var n int
	err := tx.queryRow(ctx, countReservedSlugs, []any{userID}, &n)
	if err != nil || n < maxReservedSlugs {
		return err
	}
	return core.Conflict("%d slugs of renamed or deleted MCP servers are reserved for you, which is the maximum. "+
		"Use one of them", n).WithField("slug")
}
