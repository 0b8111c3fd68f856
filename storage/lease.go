package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type leaseRow struct {
	bun.BaseModel `bun:"table:leases,alias:lease"`

	Owner string `bun:"owner,pk"`
	Until int64  `bun:"until"`
}

// ClaimRuns implements core.RunStore. It claims the oldest runs first and deletes expired leases.
func (db *DB) ClaimRuns(ctx context.Context, owner string, now time.Time, limit int) ([]*core.Run, error) {
	if limit <= 0 {
		return nil, nil
	}
	var claimed []*core.Run
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewDelete().Model((*leaseRow)(nil)).Where("until <= ?", micros(now)).Exec(ctx)
		if err != nil {
			return err
		}
		var rows []runRow
		err = activeRuns(tx.NewSelect()).Model(&rows).Where("owner <> ?", owner).Where("owner <> ''").
			Where("owner NOT IN (?)", tx.NewSelect().Model((*leaseRow)(nil)).Column("owner")).
			Order("created_at", "id").Limit(int64(limit)).Scan(ctx)
		if err != nil {
			return err
		}
		for i := range rows {
			run, err := claim(ctx, tx, &rows[i], owner)
			if err != nil {
				return err
			}
			if run != nil {
				claimed = append(claimed, run)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// claim makes owner the owner of the run. It returns nil if another server has already claimed it.
func claim(ctx context.Context, tx *tx, r *runRow, owner string) (*core.Run, error) {
	q := tx.NewUpdate().Model(r).Column("owner").WherePK().
		Where("owner = ?", r.Owner).Where("attempt = ?", r.Attempt).Where(isActive)
	r.Owner = owner
	res, err := q.Exec(ctx)
	if err != nil {
		return nil, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return nil, err
	}
	return r.run()
}

// RenewLease implements core.RunStore.
func (db *DB) RenewLease(ctx context.Context, owner string, until time.Time) error {
	row := &leaseRow{Owner: owner, Until: micros(until)}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewInsert().Model(row).On("CONFLICT (owner) DO UPDATE").
			Set("until = EXCLUDED.until").Exec(ctx)
		return err
	})
}

// ReleaseLease implements core.RunStore.
func (db *DB) ReleaseLease(ctx context.Context, owner string) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewDelete().Model((*leaseRow)(nil)).Where("owner = ?", owner).Exec(ctx)
		return err
	})
}

var (
	selectLease = &preparedStatement{`SELECT until FROM leases WHERE owner = ?`}
	// touchLease writes the lease without a change.
	touchLease = &preparedStatement{`UPDATE leases SET until = until WHERE owner = ? AND until > ?`}
)

// Ready returns nil if requests of the server owner can be processed: prepared statements read and write, commits
// succeed, and the server has its lease.
func (db *DB) Ready(ctx context.Context, owner string) error {
	var until int64
	err := db.queryRow(ctx, selectLease, []any{owner}, &until)
	if err == nil {
		err = db.write(ctx, func(ctx context.Context, tx *tx) error {
			n, err := tx.exec(ctx, touchLease, owner, micros(time.Now()))
			if err == nil && n == 0 {
				return errLeaseExpired
			}
			return err
		})
	}
	if errors.Is(err, sql.ErrNoRows) {
		return errLeaseExpired
	}
	return err
}

var errLeaseExpired = core.Unavailable("The lease of the server has expired. The server renews it within seconds")
