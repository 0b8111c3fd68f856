package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

type file002 struct {
	bun.BaseModel `bun:"table:files"`

	ID          string `bun:"id,pk"`
	Name        string `bun:"name,notnull"`
	NameFold    string `bun:"name_fold,notnull"`
	Size        int64  `bun:"size,notnull"`
	ContentType string `bun:"content_type,notnull"`
	SHA256      string `bun:"sha256,notnull"`
	Metadata    string `bun:"metadata,notnull"`
	Version     int64  `bun:"version,notnull"`
	CreatedBy   string `bun:"created_by,notnull"`
	CreatedAt   int64  `bun:"created_at,notnull"`
	UpdatedAt   int64  `bun:"updated_at,notnull"`
	Backend     string `bun:"backend,notnull,unique:files_blob"`
	Key         string `bun:"key,notnull,unique:files_blob"`
}

type orphan002 struct {
	bun.BaseModel `bun:"table:orphans"`

	Backend  string `bun:"backend,pk"`
	Key      string `bun:"key,pk"`
	SweepAt  int64  `bun:"sweep_at,notnull"`
	Claimed  bool   `bun:"claimed,notnull"`
	Attempts int64  `bun:"attempts,notnull"`
	Reason   string `bun:"reason,notnull"`
}

type fileUsage002 struct {
	bun.BaseModel `bun:"table:file_usage"`

	UserID string `bun:"user_id,pk"`
	Bytes  int64  `bun:"bytes,notnull"`
	Files  int64  `bun:"files,notnull"`
}

func files(ctx context.Context, db bun.IDB) error {
	for _, model := range []any{(*file002)(nil), (*orphan002)(nil), (*fileUsage002)(nil)} {
		if _, err := db.NewCreateTable().Model(model).Exec(ctx); err != nil {
			return err
		}
	}
	for _, index := range []string{
		// These indexes are for the file lists of a user and of an admin.
		`CREATE INDEX files_user ON files (created_by, created_at, id)`,
		`CREATE INDEX files_newest ON files (created_at, id)`,
		`CREATE INDEX files_backend ON files (backend, id)`,
		`CREATE INDEX orphans_due ON orphans (sweep_at)`,
	} {
		if _, err := db.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	return nil
}
