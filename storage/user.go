package storage

import (
	"cmp"
	"context"
	"strings"
	"unicode"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type userRow struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID           string `bun:"id,pk"`
	Username     string `bun:"username"`
	UsernameFold string `bun:"username_fold"`
	Email        string `bun:"email"`
	// EmailFold is null for users without an email.
	EmailFold    string `bun:"email_fold,nullzero"`
	Role         string `bun:"role"`
	PasswordHash string `bun:"password_hash"`
	Disabled     bool   `bun:"disabled"`
	CreatedAt    int64  `bun:"created_at"`
	UpdatedAt    int64  `bun:"updated_at"`
}

func (r *userRow) user() *core.User {
	return &core.User{
		ID: r.ID, Username: r.Username, Email: r.Email, Role: core.Role(r.Role),
		PasswordHash: r.PasswordHash, Disabled: r.Disabled,
		CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
	}
}

// fold returns the same text for strings that are equal under strings.EqualFold.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}

// CreateUser implements core.UserStore. Emails are unique and compared case-insensitively.
func (db *DB) CreateUser(ctx context.Context, audit *core.AuditRecord, u *core.User) error {
	row := &userRow{
		ID: u.ID, Username: u.Username, UsernameFold: fold(u.Username),
		Email: u.Email, EmailFold: fold(u.Email), Role: string(u.Role),
		PasswordHash: u.PasswordHash, Disabled: u.Disabled,
		CreatedAt: micros(u.CreatedAt), UpdatedAt: micros(u.UpdatedAt),
	}
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		taken := tx.NewSelect().Model((*userRow)(nil))
		if id, err := idOf(ctx, taken.Clone().Where("username_fold = ?", row.UsernameFold)); err != nil || id != "" {
			return cmp.Or(err, inUse("username", u.Username, id))
		}
		if id, err := idOf(ctx, taken.Clone().Where("email_fold = ?", row.EmailFold)); err != nil || id != "" {
			return cmp.Or(err, inUse("email", u.Email, id))
		}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
}

// inUse returns the Conflict of a field whose value another user has.
func inUse(field, value, userID string) error {
	return core.Conflict("The %s %q is already in use. Choose another one", field, value).WithField(field).
		WithObject("user", userID)
}

var selectUser = &preparedStatement{`SELECT id, username, email, role, password_hash, disabled, created_at, updated_at
FROM users WHERE id = ?`}

// User implements core.UserStore.
func (db *DB) User(ctx context.Context, id string) (*core.User, error) {
	var r userRow
	err := db.queryRow(ctx, selectUser, []any{id}, &r.ID, &r.Username, &r.Email, &r.Role,
		&r.PasswordHash, &r.Disabled, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return nil, notFound(err, "user", id)
	}
	return r.user(), nil
}

// UserByName implements core.UserStore.
func (db *DB) UserByName(ctx context.Context, username string) (*core.User, error) {
	r := new(userRow)
	err := db.read.NewSelect().Model(r).Where("username_fold = ?", fold(username)).Scan(ctx)
	if err != nil {
		return nil, db.translate(notFound(err, "user", username))
	}
	return r.user(), nil
}

// UpdateUser implements core.UserStore.
func (db *DB) UpdateUser(
	ctx context.Context, audit *core.AuditRecord, id string, up core.UserUpdate,
) (*core.User, error) {
	row := &userRow{ID: id}
	err := db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if err := tx.NewSelect().Model(row).WherePK().Scan(ctx); err != nil {
			return notFound(err, "user", id)
		}
		if err := row.update(ctx, tx, up); err != nil {
			return err
		}
		if _, err := tx.NewUpdate().Model(row).WherePK().Exec(ctx); err != nil {
			return err
		}
		admins, err := tx.NewSelect().Model((*userRow)(nil)).Where("role = ?",
			string(core.RoleAdmin)).Where("NOT disabled").Exists(ctx)
		if err != nil || !admins {
			return cmp.Or(err, lastAdmin(id))
		}
		return endCredentials(ctx, tx, id, up)
	})
	if err != nil {
		return nil, err
	}
	return row.user(), nil
}

// lastAdmin returns the Conflict of a change after which no enabled admin would be left.
func lastAdmin(id string) error {
	return core.Conflict("This user is the last enabled admin. Make another user an admin first").WithObject("user", id)
}

// endCredentials ends the logins and API keys of a user that the update names.
func endCredentials(ctx context.Context, tx *tx, userID string, up core.UserUpdate) error {
	if up.EndLogins {
		_, err := tx.NewUpdate().Model((*loginRow)(nil)).Set("ended_at = ?", micros(up.At)).
			Where("user_id = ?", userID).Where("id <> ?", up.KeepLogin).Where("ended_at = 0").Exec(ctx)
		if err != nil {
			return err
		}
	}
	if !up.EndKeys {
		return nil
	}
	_, err := tx.NewDelete().Model((*apiKeyRow)(nil)).Where("user_id = ?", userID).Exec(ctx)
	return err
}

// update applies the changes to the row. It fails with Conflict if the email is in use.
func (r *userRow) update(ctx context.Context, tx *tx, up core.UserUpdate) error {
	if up.Email != nil {
		r.Email, r.EmailFold = *up.Email, fold(*up.Email)
		id, err := idOf(ctx, tx.NewSelect().Model((*userRow)(nil)).Where("email_fold = ?", r.EmailFold).
			Where("id <> ?", r.ID))
		if err != nil || id != "" {
			return cmp.Or(err, inUse("email", r.Email, id))
		}
	}
	if up.Role != nil {
		r.Role = string(*up.Role)
	}
	if up.Disabled != nil {
		r.Disabled = *up.Disabled
	}
	if up.PasswordHash != nil {
		r.PasswordHash = *up.PasswordHash
	}
	r.UpdatedAt = micros(up.At)
	return nil
}

// Users implements core.UserStore.
func (db *DB) Users(ctx context.Context, page core.Page) ([]*core.User, int, error) {
	var rows []userRow
	if page.After != nil {
		page.After = &core.PageKey{Text: fold(page.After.Text)}
	}
	total, err := db.list(ctx, db.read.NewSelect().Model(&rows).Order("username_fold"), page, "username_fold > ?1")
	if err != nil {
		return nil, 0, err
	}
	users := make([]*core.User, len(rows))
	for i := range rows {
		users[i] = rows[i].user()
	}
	return users, total, nil
}
