// Package accounts serves sign-in, users, API keys and the audit log.
package accounts

import (
	"context"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Logins signs users in and out.
type Logins interface {
	// Login fails with Unauthorized, RateLimited or Unavailable.
	Login(ctx context.Context, audit *core.AuditRecord, username, password, address string) (*core.Tokens, error)
	// Refresh exchanges a refresh token for new tokens. It fails with Unauthorized.
	Refresh(ctx context.Context, audit *core.AuditRecord, refreshToken string) (*core.Tokens, error)
	// Renew returns an access token of a login that has not ended, and no refresh token. It fails with
	// Unauthorized.
	Renew(ctx context.Context, loginID string) (*core.Tokens, error)
	// Logout ends a login with all its tokens.
	Logout(ctx context.Context, audit *core.AuditRecord, loginID string) error
	// ChangePassword checks the current password, sets the new one, and ends the other logins of the
	// user. It fails with Invalid or RateLimited.
	ChangePassword(ctx context.Context, audit *core.AuditRecord, p *core.Principal, current, password string) error
	// EndSessions ends all logins of a user and deletes the user's API keys. It fails with NotFound.
	EndSessions(ctx context.Context, audit *core.AuditRecord, userID string) error
}

// UserManager creates and changes users.
type UserManager interface {
	// CreateUser checks and stores a new user, and sets the other fields of u. It fails with Invalid or
	// Conflict.
	CreateUser(ctx context.Context, audit *core.AuditRecord, u *core.User, password string) error
	// UpdateUser fails with Invalid, NotFound or Conflict.
	UpdateUser(ctx context.Context, audit *core.AuditRecord, id string, up core.UserUpdate) (*core.User, error)
	// ResetPassword sets a user's password and ends the user's logins, and with endKeys also deletes the
	// user's API keys. It fails with Invalid or NotFound.
	ResetPassword(ctx context.Context, audit *core.AuditRecord, id, password string, endKeys bool) error
	// EndSessions ends all logins of a user and deletes the user's API keys. It fails with NotFound.
	EndSessions(ctx context.Context, audit *core.AuditRecord, userID string) error
}

// Users reads users.
type Users interface {
	// User fails with NotFound.
	User(ctx context.Context, id string) (*core.User, error)
	// Users returns a page of users, ordered by username, and the total number of users.
	Users(ctx context.Context, p core.Page) ([]*core.User, int, error)
}

// KeyManager creates and deletes API keys.
type KeyManager interface {
	// CreateAPIKey checks and stores a new key, sets the other fields of k, and returns the key itself.
	// parent is the API key of the request, if it has one. It fails with Invalid, Conflict or Unauthorized.
	CreateAPIKey(ctx context.Context, audit *core.AuditRecord, parent, k *core.APIKey) (string, error)
	// DeleteAPIKey fails with NotFound.
	DeleteAPIKey(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) error
}

// Keys reads API keys.
type Keys interface {
	// APIKey fails with NotFound if the actor may not see the key.
	APIKey(ctx context.Context, v core.Actor, id string) (*core.APIKey, error)
	// APIKeys returns a page of a user's keys, newest first, and their total number. An empty user
	// selects the keys of all users.
	APIKeys(ctx context.Context, v core.Actor, userID string, p core.Page) ([]*core.APIKey, int, error)
}

// Audit reads the audit log.
type Audit interface {
	// Audit returns a page of matching entries, newest first, and their total number.
	Audit(ctx context.Context, f core.AuditFilter) ([]*core.AuditEntry, int, error)
}

// Options are the dependencies of the group.
type Options struct {
	Logins      Logins
	UserManager UserManager
	Users       Users
	KeyManager  KeyManager
	Keys        Keys
	Audit       Audit
	UserData    UserData
}

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	registerAuth(a, o.Logins)
	registerUsers(a, o.UserManager, o.Users)
	registerUserData(a, o.Users, o.UserData)
	registerAPIKeys(a, o.KeyManager, o.Keys)
	registerAudit(a, o.Audit)
}
