package storage

import (
	"context"
	"database/sql"
	"sync"
)

// hot is a statement on the path of a turn, kept prepared on each connection.
type hot struct{ sql string }

// statements keeps the hot ones of a connection or a pool, from their first use on.
type statements struct {
	on interface {
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
	dialect dialect
	mu      sync.RWMutex
	kept    map[*hot]*sql.Stmt
}

func newStatements(on interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}, d dialect,
) *statements {
	return &statements{on: on, dialect: d, kept: map[*hot]*sql.Stmt{}}
}

func (s *statements) prepared(ctx context.Context, h *hot) (*sql.Stmt, error) {
	s.mu.RLock()
	stmt := s.kept[h]
	s.mu.RUnlock()
	if stmt != nil {
		return stmt, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt = s.kept[h]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.on.PrepareContext(ctx, s.dialect.rewrite(h.sql))
	if err == nil {
		s.kept[h] = stmt
	}
	return stmt, err
}

// exec says how many rows were changed.
func (s *statements) exec(ctx context.Context, h *hot, args ...any) (int64, error) {
	stmt, err := s.prepared(ctx, h)
	if err != nil {
		return 0, err
	}
	res, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// queryRow fails with sql.ErrNoRows.
func (s *statements) queryRow(ctx context.Context, h *hot, args []any, dest ...any) error {
	stmt, err := s.prepared(ctx, h)
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(ctx, args...).Scan(dest...)
}

func (s *statements) query(ctx context.Context, h *hot, args []any, each func(*sql.Rows) error) error {
	stmt, err := s.prepared(ctx, h)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below has what matters
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
