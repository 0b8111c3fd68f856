package storage

import (
	"context"
	"database/sql"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type loginRow struct {
	bun.BaseModel `bun:"table:logins,alias:l"`

	ID          string `bun:"id,pk"`
	UserID      string `bun:"user_id"`
	Generation  int64  `bun:"generation"`
	RefreshHash []byte `bun:"refresh_hash"`
	RotatedAt   int64  `bun:"rotated_at"`
	CreatedAt   int64  `bun:"created_at"`
	ExpiresAt   int64  `bun:"expires_at"`
	EndedAt     int64  `bun:"ended_at"`
}

func loginRowOf(l *core.Login) *loginRow {
	return &loginRow{
		ID: l.ID, UserID: l.UserID, Generation: l.Generation, RefreshHash: l.RefreshHash,
		RotatedAt: micros(l.RotatedAt), CreatedAt: micros(l.CreatedAt),
		ExpiresAt: micros(l.ExpiresAt), EndedAt: micros(l.EndedAt),
	}
}

// CreateLogin implements core.LoginStore. It fails with NotFound if the user does not exist.
func (db *DB) CreateLogin(ctx context.Context, audit *core.AuditRecord, l *core.Login) error {
	row := loginRowOf(l)
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		if db.dialect.failure(err) == failMissing {
			return core.NotFound("user", l.UserID)
		}
		return err
	})
}

var selectLogin = &preparedStatement{`SELECT user_id, generation, refresh_hash, rotated_at, created_at,
expires_at, ended_at FROM logins WHERE id = ?`}

// Login implements core.LoginStore.
func (db *DB) Login(ctx context.Context, id string) (*core.Login, error) {
	l := &core.Login{ID: id}
	var rotated, created, expires, ended int64
	err := db.queryRow(ctx, selectLogin, []any{id}, &l.UserID, &l.Generation, &l.RefreshHash,
		&rotated, &created, &expires, &ended)
	if err != nil {
		return nil, notFound(err, "login", id)
	}
	l.RotatedAt, l.CreatedAt, l.ExpiresAt, l.EndedAt = instant(rotated), instant(created), instant(expires), instant(ended)
	return l, nil
}

// RotateLogin implements core.LoginStore.
func (db *DB) RotateLogin(ctx context.Context, audit *core.AuditRecord, l *core.Login) error {
	row := loginRowOf(l)
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		res, err := tx.NewUpdate().Model(row).
			Column("generation", "refresh_hash", "rotated_at", "expires_at").
			WherePK().Where("generation = ?", row.Generation-1).Where("ended_at = 0").Exec(ctx)
		return changed(res, err, core.Conflict("The login was refreshed or ended by another request. Sign in again"))
	})
}

// EndLogin implements core.LoginStore.
func (db *DB) EndLogin(ctx context.Context, audit *core.AuditRecord, id string, at time.Time) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewUpdate().Model((*loginRow)(nil)).Set("ended_at = ?", micros(at)).
			Where("id = ?", id).Where("ended_at = 0").Exec(ctx)
		return err
	})
}

// DeleteLogins implements core.LoginStore.
func (db *DB) DeleteLogins(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	var n int64
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		old := tx.NewSelect().Model((*loginRow)(nil)).Column("id").
			Where("expires_at < ?", micros(before)).
			WhereOr("ended_at <> 0 AND ended_at < ?", micros(before)).Limit(int64(limit))
		res, err := tx.NewDelete().Model((*loginRow)(nil)).Where("id IN (?)", old).Exec(ctx)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}

// changed returns err, or otherwise if the statement changed no row.
func changed(res sql.Result, err error, otherwise error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}
