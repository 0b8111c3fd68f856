package storage

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// BeginUserDeletion implements core.UserDataStore.
func (db *DB) BeginUserDeletion(ctx context.Context, d core.UserDeletion) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := mayDeleteUser(ctx, tx, d); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model((*userRow)(nil)).Set("disabled = TRUE").Set("updated_at = ?", micros(d.At)).
			Where("id = ?", d.UserID).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*loginRow)(nil)).Set("ended_at = ?", micros(d.At)).
			Where("user_id = ?", d.UserID).Where("ended_at = 0").Exec(ctx)
		if err != nil || d.TransferTo != "" {
			return err
		}
		_, err = tx.NewUpdate().Model((*agentRow)(nil)).Set("status = ?", string(core.AgentInactive)).Set("shared = FALSE").
			Where("created_by = ?", d.UserID).Exec(ctx)
		return err
	})
}

// mayDeleteUser returns an error if the user cannot be deleted now.
func mayDeleteUser(ctx context.Context, tx *tx, d core.UserDeletion) error {
	user := new(userRow)
	if err := tx.NewSelect().Model(user).Where("id = ?", d.UserID).Scan(ctx); err != nil {
		return notFound(err, "user", d.UserID)
	}
	admins, err := tx.NewSelect().Model((*userRow)(nil)).Where("role = ?", string(core.RoleAdmin)).
		Where("NOT disabled").Where("id <> ?", d.UserID).Exists(ctx)
	if err != nil || !admins {
		return cmp.Or(err, lastAdmin(d.UserID))
	}
	if d.TransferTo != "" {
		if err := mayReceive(ctx, tx, user, d.TransferTo); err != nil {
			return err
		}
	}
	return noWork(ctx, tx, d)
}

// mayReceive returns Invalid if the user with the id to cannot own the objects of a deleted user.
func mayReceive(ctx context.Context, tx *tx, from *userRow, to string) error {
	var found []userRow
	if err := tx.NewSelect().Model(&found).Where("id = ?", to).Scan(ctx); err != nil {
		return err
	}
	switch {
	case len(found) == 0:
		return core.Invalid("to", "User %q does not exist. GET /v1/users/ lists the users", to)
	case to == from.ID:
		return core.Invalid("to", "Must be another user than the deleted one")
	case found[0].Disabled:
		return core.Invalid("to", "User %q is disabled. Enable the user first, or choose another one", to)
	case found[0].Role == string(core.RoleViewer):
		return core.Invalid("to", "User %q is a viewer, who cannot own objects. Choose a member or an admin", to)
	case from.Role != string(core.RoleAdmin) || found[0].Role == string(core.RoleAdmin):
		return nil
	}
	servers, err := tx.NewSelect().Model((*mcpServerRow)(nil)).Where("created_by = ?", from.ID).Exists(ctx)
	if err != nil || !servers {
		return err
	}
	return core.Invalid("to",
		"Must be an admin, because the deleted user is one and owns MCP servers, which can run commands")
}

// maxNamed is the maximum number of objects that an error names.
const maxNamed = 5

// noWork returns Conflict, with the names of some runs and tasks, while work is in progress that the deletion
// would take away: runs of the user, and, if the user's agents are erased, runs and tasks of others with them.
// A run without an owner waits for the next attempt of its task.
func noWork(ctx context.Context, tx *tx, d core.UserDeletion) error {
	runs := activeRuns(tx.NewSelect()).Column("id").Where("owner <> ''").Order("id").Limit(maxNamed)
	if d.TransferTo != "" {
		runs.Where("user_id = ?", d.UserID)
	} else {
		runs.Where("(user_id = ? OR agent_id IN (SELECT id FROM agents WHERE created_by = ?))", d.UserID, d.UserID)
	}
	var ids []string
	if err := runs.Scan(ctx, &ids); err != nil {
		return err
	}
	if len(ids) > 0 {
		return core.Conflict("The user or an agent of the user has active runs: %s. Disable the user, cancel the runs or "+
			"wait for them to end, and delete the user again", strings.Join(ids, ", ")).
			WithObject("user", d.UserID).WithRun(core.RunRef{ID: ids[0]})
	}
	if d.TransferTo != "" {
		return nil
	}
	err := tx.NewSelect().Model((*taskRow)(nil)).Column("id").Where("user_id <> ?", d.UserID).
		Where("agent_id IN (SELECT id FROM agents WHERE created_by = ?)", d.UserID).
		Where("status IN ('pending', 'running')").Order("id").Limit(maxNamed).Scan(ctx, &ids)
	if err != nil || len(ids) == 0 {
		return err
	}
	return core.Conflict("Tasks of other users wait for an agent of the user: %s. Cancel them or wait for them to end, or "+
		"transfer the objects to another user", strings.Join(ids, ", ")).WithObject("user", d.UserID)
}

// EraseUserSessions implements core.UserDataStore.
func (db *DB) EraseUserSessions(ctx context.Context, userID string, limit int) (int, error) {
	return db.deleteRows(ctx, "sessions", "key", func(q *bun.SelectQuery) *bun.SelectQuery {
		busy := db.read.NewSelect().Model((*runRow)(nil)).Column("session_key").
			Where("session_key IS NOT NULL").Where(isActive).Where("owner <> ''")
		return q.Where("(user_id = ? OR agent_id IN (SELECT id FROM agents WHERE created_by = ?))", userID, userID).
			Where("key NOT IN (?)", busy).Limit(int64(limit))
	})
}

// MCPServerIDs implements core.UserDataStore.
func (db *DB) MCPServerIDs(ctx context.Context, userID string) ([]string, error) {
	var ids []string
	err := db.read.NewSelect().Model((*mcpServerRow)(nil)).Column("id").Where("created_by = ?", userID).
		Order("id").Scan(ctx, &ids)
	return ids, db.translate(err)
}

// FinishUserDeletion implements core.UserDataStore. Foreign keys delete the logins, API keys and
// idempotency keys.
func (db *DB) FinishUserDeletion(ctx context.Context, audit *core.AuditRecord, d core.UserDeletion) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if err := mayDeleteUser(ctx, tx, d); err != nil {
			return err
		}
		statements := eraseUser(d)
		if d.TransferTo != "" {
			if err := renameSessions(ctx, tx, d); err != nil {
				return err
			}
			statements = transferUser(d)
		}
		statements = append(statements,
			statement{`DELETE FROM notices WHERE user_id = ?`, []any{d.UserID}},
			statement{`DELETE FROM file_usage WHERE user_id = ?`, []any{d.UserID}},
			statement{`DELETE FROM users WHERE id = ?`, []any{d.UserID}},
		)
		for _, s := range statements {
			if _, err := tx.NewRaw(s.text, s.args...).Exec(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.text, err)
			}
		}
		return nil
	})
}

// statement is a SQL statement with its arguments.
type statement struct {
	text string
	args []any
}

// eraseUser returns the statements that delete the user's objects. Foreign keys delete the rows that belong
// to them. The slugs of the user's MCP servers stay reserved, so that nobody else receives the calls of clients
// that still use them.
func eraseUser(d core.UserDeletion) []statement {
	id := []any{d.UserID}
	return []statement{
		{`DELETE FROM sessions WHERE user_id = ?`, id},
		{`DELETE FROM runs WHERE user_id = ?`, id},
		{`DELETE FROM tasks WHERE user_id = ?`, id},
		{`DELETE FROM agents WHERE created_by = ?`, id},
		{
			`INSERT INTO reserved_slugs (slug, server_id, user_id)
SELECT slug, id, created_by FROM mcp_servers WHERE created_by = ? ON CONFLICT (slug) DO NOTHING`, id,
		},
		{`DELETE FROM mcp_servers WHERE created_by = ?`, id},
		{
			`INSERT INTO orphans (backend, key, sweep_at, claimed, attempts, reason)
SELECT backend, key, CAST(? AS BIGINT), TRUE, 0, '' FROM files WHERE created_by = ?`, []any{micros(d.At), d.UserID},
		},
		{`DELETE FROM files WHERE created_by = ?`, id},
	}
}

// transferUser returns the statements that give the user's objects to the other user.
func transferUser(d core.UserDeletion) []statement {
	pair := []any{d.TransferTo, d.UserID}
	return []statement{
		{`UPDATE messages SET user_id = ? WHERE session_key IN (SELECT key FROM sessions WHERE user_id = ?)`, pair},
		{`UPDATE runs SET user_id = ? WHERE session_key IN (SELECT key FROM sessions WHERE user_id = ?)`, pair},
		{`UPDATE sessions SET user_id = ? WHERE user_id = ?`, pair},
		{`UPDATE tasks SET user_id = ? WHERE user_id = ?`, pair},
		{`UPDATE agents SET created_by = ?, version = version + 1 WHERE created_by = ?`, pair},
		{`UPDATE mcp_servers SET created_by = ?, version = version + 1 WHERE created_by = ?`, pair},
		{`UPDATE reserved_slugs SET user_id = ? WHERE user_id = ?`, pair},
		{`UPDATE files SET created_by = ? WHERE created_by = ?`, pair},
		{
			`INSERT INTO file_usage (user_id, bytes, files)
SELECT CAST(? AS VARCHAR), bytes, files FROM file_usage WHERE user_id = ?
ON CONFLICT (user_id) DO UPDATE SET bytes = file_usage.bytes + excluded.bytes,
	files = file_usage.files + excluded.files`, pair,
		},
	}
}

// renameSessions gives a new id to each session of the user whose id the other user has for a session with the
// same agent.
func renameSessions(ctx context.Context, tx *tx, d core.UserDeletion) error {
	var both []sessionRow
	err := tx.NewSelect().Model(&both).Where("s.user_id = ?", d.UserID).
		Where("EXISTS (SELECT 1 FROM sessions AS o WHERE o.user_id = ? AND o.agent_id = s.agent_id AND o.id = s.id)",
			d.TransferTo).
		Scan(ctx)
	if err != nil {
		return err
	}
	for _, s := range both {
		id := core.NewID("session")
		for _, text := range []string{
			`UPDATE messages SET session_id = ? WHERE session_key = ?`,
			`UPDATE runs SET session_id = ? WHERE session_key = ?`,
			`UPDATE sessions SET id = ? WHERE key = ?`,
		} {
			if _, err := tx.NewRaw(text, id, s.Key).Exec(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
