package storage

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type apiKeyRow struct {
	bun.BaseModel `bun:"table:api_keys,alias:k"`

	ID       string `bun:"id,pk"`
	UserID   string `bun:"user_id"`
	ParentID string `bun:"parent_id"`
	Name     string `bun:"name"`
	// Scopes are separated by spaces.
	Scopes     string `bun:"scopes"`
	Hash       []byte `bun:"hash"`
	CreatedAt  int64  `bun:"created_at"`
	ExpiresAt  int64  `bun:"expires_at"`
	LastUsedAt int64  `bun:"last_used_at"`
}

func apiKeyRowOf(k *core.APIKey) *apiKeyRow {
	scopes := make([]string, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = string(s)
	}
	return &apiKeyRow{
		ID: k.ID, UserID: k.UserID, ParentID: k.ParentID, Name: k.Name, Scopes: strings.Join(scopes, " "), Hash: k.Hash,
		CreatedAt: micros(k.CreatedAt), ExpiresAt: micros(k.ExpiresAt), LastUsedAt: micros(k.LastUsedAt),
	}
}

func (r *apiKeyRow) key() *core.APIKey {
	k := &core.APIKey{
		ID: r.ID, UserID: r.UserID, ParentID: r.ParentID, Name: r.Name, Hash: r.Hash,
		CreatedAt: instant(r.CreatedAt), ExpiresAt: instant(r.ExpiresAt), LastUsedAt: instant(r.LastUsedAt),
	}
	for _, s := range strings.Fields(r.Scopes) {
		k.Scopes = append(k.Scopes, core.Scope(s))
	}
	return k
}

// keySeen is the condition for API keys that an actor can see. keySeenBy returns its arguments.
const keySeen = "(? OR k.user_id = ?)"

func keySeenBy(actor core.Actor) []any { return []any{actor.Admin(), actor.UserID} }

const nounAPIKey = "API key"

// CreateAPIKey implements core.APIKeyStore.
func (db *DB) CreateAPIKey(ctx context.Context, audit *core.AuditRecord, k *core.APIKey) error {
	row := apiKeyRowOf(k)
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		own := tx.NewSelect().Model((*apiKeyRow)(nil)).Where("user_id = ?", k.UserID)
		if id, err := idOf(ctx, own.Clone().Where("name = ?", k.Name)); err != nil || id != "" {
			return cmp.Or(err, error(core.Conflict("You already have an API key named %q. Choose another name, or delete "+
				"that key first", k.Name).WithField("name").WithObject(nounAPIKey, id)))
		}
		if err := checkLimit(ctx, own, db.limits.APIKeys, "API key", "--max-api-keys"); err != nil {
			return err
		}
		if k.ParentID != "" {
			if is, err := own.Clone().Where("id = ?", k.ParentID).Exists(ctx); err != nil || !is {
				return cmp.Or(err, error(core.NotFound(nounAPIKey, k.ParentID)))
			}
		}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
}

var selectAPIKey = &preparedStatement{`SELECT id, user_id, parent_id, name, scopes, hash, created_at, expires_at,
	last_used_at
FROM api_keys AS k WHERE id = ? AND ` + keySeen}

// APIKey implements core.APIKeyStore.
func (db *DB) APIKey(ctx context.Context, actor core.Actor, id string) (*core.APIKey, error) {
	var r apiKeyRow
	err := db.queryRow(ctx, selectAPIKey, append([]any{id}, keySeenBy(actor)...),
		&r.ID, &r.UserID, &r.ParentID, &r.Name, &r.Scopes, &r.Hash, &r.CreatedAt, &r.ExpiresAt, &r.LastUsedAt)
	if err != nil {
		return nil, notFound(err, nounAPIKey, id)
	}
	return r.key(), nil
}

// APIKeys implements core.APIKeyStore.
func (db *DB) APIKeys(ctx context.Context, actor core.Actor, userID string, p core.Page) ([]*core.APIKey, int, error) {
	var rows []apiKeyRow
	q := db.read.NewSelect().Model(&rows).Where(keySeen, keySeenBy(actor)...).Order("created_at DESC", "id DESC")
	if userID != "" {
		q.Where("k.user_id = ?", userID)
	}
	total, err := db.list(ctx, q, p, "(k.created_at, k.id) < (?0, ?1)")
	if err != nil {
		return nil, 0, err
	}
	keys := make([]*core.APIKey, len(rows))
	for i := range rows {
		keys[i] = rows[i].key()
	}
	return keys, total, nil
}

// deleteAPIKey deletes a key and its descendants, which belong to the same user.
const deleteAPIKey = `WITH RECURSIVE family (id, user_id) AS (
	SELECT k.id, k.user_id FROM api_keys AS k WHERE k.id = ? AND ` + keySeen + `
	UNION SELECT child.id, child.user_id FROM api_keys AS child
	JOIN family ON child.user_id = family.user_id AND child.parent_id = family.id
) DELETE FROM api_keys WHERE id IN (SELECT id FROM family)`

// DeleteAPIKey implements core.APIKeyStore.
func (db *DB) DeleteAPIKey(ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		res, err := tx.NewRaw(deleteAPIKey, append([]any{id}, keySeenBy(actor)...)...).Exec(ctx)
		return changed(res, err, core.NotFound(nounAPIKey, id))
	})
}

// SetAPIKeyLastUsed implements core.APIKeyStore.
func (db *DB) SetAPIKeyLastUsed(ctx context.Context, id string, at time.Time) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewUpdate().Model((*apiKeyRow)(nil)).Set("last_used_at = ?", micros(at)).
			Where("id = ?", id).Where("last_used_at < ?", micros(at)).Exec(ctx)
		return err
	})
}
