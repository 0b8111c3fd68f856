package core

import (
	"context"
	"time"
)

// Login is one sign-in: a family of access and refresh tokens that ends as a whole.
type Login struct {
	ID     string
	UserID string
	// Generation counts the refreshes; the refresh token of a generation is
	// derived from it, and only hashes are kept.
	Generation int64
	// RefreshHash is the SHA-256 of the current refresh token.
	RefreshHash []byte
	// RotatedAt is when the current refresh token came to be.
	RotatedAt time.Time
	CreatedAt time.Time
	// ExpiresAt is when the current refresh token is too old.
	ExpiresAt time.Time
	// EndedAt is when the login was ended; zero while it lives.
	EndedAt time.Time
}

// LoginStore keeps logins.
type LoginStore interface {
	CreateLogin(ctx context.Context, l *Login) error
	// Login fails with NotFound.
	Login(ctx context.Context, id string) (*Login, error)
	// RotateLogin stores l's Generation, RefreshHash, RotatedAt and ExpiresAt if
	// the stored generation is still the one before and the login has not
	// ended; it fails with Conflict otherwise.
	RotateLogin(ctx context.Context, l *Login) error
	// EndLogin ends a login, if it has not ended yet.
	EndLogin(ctx context.Context, id string, at time.Time) error
	// DeleteLogins removes those that expired or ended before, at most limit,
	// and says how many.
	DeleteLogins(ctx context.Context, before time.Time, limit int) (int, error)
}
