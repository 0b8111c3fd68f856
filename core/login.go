package core

import (
	"context"
	"time"
)

// Login is one sign-in of a user. Its access and refresh tokens are all revoked when it ends.
type Login struct {
	ID     string
	UserID string
	// Generation counts the refreshes. The refresh token is derived from it, and only the token's
	// hash is stored.
	Generation int64
	// RefreshHash is the SHA-256 hash of the current refresh token.
	RefreshHash []byte
	// RotatedAt is the time at which the current refresh token was issued.
	RotatedAt time.Time
	CreatedAt time.Time
	// ExpiresAt is the time at which the current refresh token expires, and the login with it.
	ExpiresAt time.Time
	// EndedAt is the time at which the login ended. It is zero while the login is active.
	EndedAt time.Time
}

// LoginStore stores logins.
type LoginStore interface {
	// CreateLogin stores a new login.
	CreateLogin(ctx context.Context, audit *AuditRecord, l *Login) error
	// Login returns the login with the given id. It fails with NotFound.
	Login(ctx context.Context, id string) (*Login, error)
	// RotateLogin stores the Generation, RefreshHash, RotatedAt and ExpiresAt of l. It fails with
	// Conflict if the stored generation is not l.Generation-1 or the login has ended.
	RotateLogin(ctx context.Context, audit *AuditRecord, l *Login) error
	// EndLogin ends a login. It does nothing if the login has already ended.
	EndLogin(ctx context.Context, audit *AuditRecord, id string, at time.Time) error
	// DeleteLogins deletes up to limit logins that expired or ended before the given time, and
	// returns how many it deleted.
	DeleteLogins(ctx context.Context, before time.Time, limit int) (int, error)
}
