package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type fileRow struct {
	bun.BaseModel `bun:"table:files,alias:f"`

	ID   string `bun:"id,pk"`
	Name string `bun:"name"`
	// NameFold is the case-folded name, which filters are compared with.
	NameFold    string `bun:"name_fold"`
	Size        int64  `bun:"size"`
	ContentType string `bun:"content_type"`
	SHA256      string `bun:"sha256"`
	Metadata    string `bun:"metadata"`
	Version     int64  `bun:"version"`
	CreatedBy   string `bun:"created_by"`
	CreatedAt   int64  `bun:"created_at"`
	UpdatedAt   int64  `bun:"updated_at"`
	Backend     string `bun:"backend"`
	Key         string `bun:"key"`
}

func (r *fileRow) file() *core.File {
	return &core.File{
		ID: r.ID, Name: r.Name, Size: r.Size, ContentType: r.ContentType, SHA256: r.SHA256,
		Metadata: rawJSON(r.Metadata), Version: r.Version, CreatedBy: r.CreatedBy,
		CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
		Blob: core.Blob{Backend: r.Backend, Key: r.Key},
	}
}

func filesOf(rows []fileRow) []*core.File {
	files := make([]*core.File, len(rows))
	for i := range rows {
		files[i] = rows[i].file()
	}
	return files
}

// fileSeenBy reports whether the actor can see and change a file of the given creator.
func fileSeenBy(actor core.Actor, createdBy string) bool {
	return actor.Admin() || createdBy == actor.UserID
}

// filesSeenBy restricts a query to the files that the actor can see.
func filesSeenBy(q *bun.SelectQuery, actor core.Actor) {
	if !actor.Admin() { // with "? OR …" SQLite would not use the index
		q.Where("f.created_by = ?", actor.UserID)
	}
}

var (
	insertFile = &preparedStatement{`INSERT INTO files (id, name, name_fold, size, content_type, sha256, metadata, version,
created_by, created_at, updated_at, backend, key) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING`}

	// addUsage locks the user's row, so that concurrent creates cannot exceed the quota.
	addUsage = &preparedStatement{`INSERT INTO file_usage (user_id, bytes, files) VALUES (?, ?, ?)
ON CONFLICT (user_id) DO UPDATE SET bytes = file_usage.bytes + excluded.bytes,
files = file_usage.files + excluded.files RETURNING bytes`}

	selectUsage = &preparedStatement{`SELECT bytes FROM file_usage WHERE user_id = ?`}

	selectFile = &preparedStatement{`SELECT name, size, content_type, sha256, metadata, version,
created_by, created_at, updated_at, backend, key FROM files WHERE id = ?`}
)

// CreateFile implements core.FileStore. It sets f.Version to 1.
func (db *DB) CreateFile(ctx context.Context, audit *core.AuditRecord, f *core.File, quota int64) error {
	args := []any{
		f.ID, f.Name, fold(f.Name), f.Size, f.ContentType, f.SHA256, string(f.Metadata),
		f.CreatedBy, micros(f.CreatedAt), micros(f.UpdatedAt), f.Blob.Backend, f.Blob.Key,
	}
	if err := db.quota.reserve(ctx, f.CreatedBy, fileSize(f)); err != nil {
		return err
	}
	err := db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if err := referBlob(ctx, tx, f.Blob); err != nil {
			return err
		}
		n, err := tx.exec(ctx, insertFile, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return core.Conflict("File %q already exists", f.ID).WithObject("file", f.ID)
		}
		var used int64
		if err := tx.queryRow(ctx, addUsage, []any{f.CreatedBy, f.Size, 1}, &used); err != nil {
			return err
		}
		if quota > 0 && used > quota {
			return overQuota(quota, used-f.Size)
		}
		return nil
	})
	db.quota.settle(f.CreatedBy, fileSize(f), err)
	if err == nil {
		f.Version = 1
	}
	return db.orFull(err)
}

func overQuota(quota, used int64) error {
	e := &core.Error{
		Code: core.CodePayloadTooLarge,
		Message: fmt.Sprintf("Your files would exceed the limit of %d bytes per user. You use %d bytes. "+
			"Delete some files first", quota, used),
	}
	return e.WithField("file")
}

// File implements core.FileStore.
func (db *DB) File(ctx context.Context, actor core.Actor, id string) (*core.File, error) {
	r := fileRow{ID: id}
	err := db.queryRow(ctx, selectFile, []any{id}, &r.Name, &r.Size, &r.ContentType, &r.SHA256, &r.Metadata,
		&r.Version, &r.CreatedBy, &r.CreatedAt, &r.UpdatedAt, &r.Backend, &r.Key)
	if err != nil {
		return nil, notFound(err, "file", id)
	}
	if !fileSeenBy(actor, r.CreatedBy) {
		return nil, core.NotFound("file", id)
	}
	return r.file(), nil
}

// Files implements core.FileStore.
func (db *DB) Files(ctx context.Context, actor core.Actor, f core.FileFilter) ([]*core.File, int, error) {
	var rows []fileRow
	q := db.read.NewSelect().Model(&rows).Order("created_at DESC", "id DESC")
	filesSeenBy(q, actor)
	whereName(q, f.Name)
	whereContentType(q, f.ContentType)
	total, err := db.listSized(ctx, q, f.Page, "(f.created_at, f.id) < (?0, ?1)", "f.id", "f.metadata")
	if err != nil {
		return nil, 0, err
	}
	return filesOf(rows), total, nil
}

// longestPattern is a length in bytes. It is longer than any name and within the limit of SQLite.
const longestPattern = 40_000

func whereName(q *bun.SelectQuery, part string) {
	pattern := "%" + literal(fold(part)) + "%"
	switch {
	case part == "":
	case len(pattern) > longestPattern:
		q.Where("FALSE")
	default:
		q.Where("name_fold LIKE ? ESCAPE '!'", pattern)
	}
}

// whereContentType selects files by MIME type and ignores parameters. Stored types are in lower case
// and can have parameters after a semicolon.
func whereContentType(q *bun.SelectQuery, t string) {
	t = strings.ToLower(t)
	group, isGroup := strings.CutSuffix(t, "/*")
	switch {
	case t == "":
	case len(literal(t)) > longestPattern:
		q.Where("FALSE")
	case isGroup:
		q.Where("content_type LIKE ? ESCAPE '!'", literal(group)+"/%")
	default:
		q.Where("(content_type = ? OR content_type LIKE ? ESCAPE '!')", t, literal(t)+";%")
	}
}

var wildcards = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// literal returns a LIKE pattern with the escape character ! that matches only the text.
func literal(text string) string { return wildcards.Replace(text) }

// UpdateFile implements core.FileStore.
func (db *DB) UpdateFile(ctx context.Context, audit *core.AuditRecord, actor core.Actor, f *core.File) error {
	row := &fileRow{
		ID: f.ID, Name: f.Name, NameFold: fold(f.Name), Metadata: string(f.Metadata),
		Version: f.Version + 1, UpdatedAt: micros(f.UpdatedAt),
	}
	owner, growth, err := db.reserveGrowth(ctx, selectFileSize, f.ID, fileSize(f))
	if err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		stored, err := lockFileOf(ctx, tx, actor, f.ID)
		if err != nil {
			return err
		}
		if stored.Version != f.Version {
			return changedMeanwhile("file", row.ID)
		}
		_, err = tx.NewUpdate().Model(row).Column("name", "name_fold", "metadata", "version", "updated_at").
			WherePK().Exec(ctx)
		return err
	})
	db.quota.settle(owner, growth, err)
	if err == nil {
		f.Version = row.Version
	}
	return db.orFull(err)
}

// DeleteFile implements core.FileStore.
func (db *DB) DeleteFile(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, version int64, sweepAt time.Time,
) (core.Blob, error) {
	var blob core.Blob
	err := db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		stored, err := lockFileOf(ctx, tx, actor, id)
		if err != nil {
			return err
		}
		if version != 0 && version != stored.Version {
			return changedMeanwhile("file", id)
		}
		if _, err := tx.NewDelete().Model((*fileRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return err
		}
		var left int64
		if err := tx.queryRow(ctx, addUsage, []any{stored.CreatedBy, -stored.Size, -1}, &left); err != nil {
			return err
		}
		blob = core.Blob{Backend: stored.Backend, Key: stored.Key}
		return releaseBlob(ctx, tx, blob, sweepAt)
	})
	if err != nil {
		return core.Blob{}, err
	}
	return blob, nil
}

var lockFile = &preparedStatement{`SELECT size, version, created_by, backend, key FROM files WHERE id = ? FOR UPDATE`}

// lockFileOf returns a file that the actor can change, with the columns that changes need. It locks the
// file until the commit.
func lockFileOf(ctx context.Context, tx *tx, actor core.Actor, id string) (*fileRow, error) {
	r := &fileRow{ID: id}
	err := tx.queryRow(ctx, lockFile, []any{id}, &r.Size, &r.Version, &r.CreatedBy, &r.Backend, &r.Key)
	if err != nil {
		return nil, notFound(err, "file", id)
	}
	if !fileSeenBy(actor, r.CreatedBy) {
		return nil, core.NotFound("file", id)
	}
	return r, nil
}

// FileUsage implements core.FileStore.
func (db *DB) FileUsage(ctx context.Context, userID string) (int64, error) {
	var bytes int64
	err := db.queryRow(ctx, selectUsage, []any{userID}, &bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return bytes, err
}
