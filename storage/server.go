package storage

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type serverRow struct {
	bun.BaseModel `bun:"table:servers,alias:s"`

	ID      string `bun:"id,pk"`
	Host    string `bun:"host"`
	Version string `bun:"version"`
	// Keys are the ids of the keys, separated by commas.
	Keys      string `bun:"keys"`
	Plugins   string `bun:"plugins"`
	StartedAt int64  `bun:"started_at"`
}

// RegisterServer implements core.ServerStore.
func (db *DB) RegisterServer(ctx context.Context, s *core.Server) error {
	row := &serverRow{
		ID: s.ID, Host: s.Host, Version: s.Version, Keys: strings.Join(s.Keys, ","), Plugins: s.Plugins,
		StartedAt: micros(s.StartedAt),
	}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewDelete().Model((*serverRow)(nil)).
			Where("id NOT IN (?)", tx.NewSelect().Model((*leaseRow)(nil)).Column("owner")).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(row).On("CONFLICT (id) DO UPDATE").
			Set("host = EXCLUDED.host, version = EXCLUDED.version, keys = EXCLUDED.keys, plugins = EXCLUDED.plugins").
			Set("started_at = EXCLUDED.started_at").Exec(ctx)
		return err
	})
}

// Servers implements core.ServerStore.
func (db *DB) Servers(ctx context.Context, now time.Time) ([]core.Server, error) {
	var rows []serverRow
	err := db.read.NewSelect().Model(&rows).
		Where("id IN (?)", db.read.NewSelect().Model((*leaseRow)(nil)).Column("owner").Where("until > ?", micros(now))).
		Order("started_at", "id").Scan(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	servers := make([]core.Server, len(rows))
	for i, r := range rows {
		servers[i] = core.Server{
			ID: r.ID, Host: r.Host, Version: r.Version, Plugins: r.Plugins, StartedAt: instant(r.StartedAt),
		}
		if r.Keys != "" {
			servers[i].Keys = strings.Split(r.Keys, ",")
		}
	}
	return servers, nil
}
