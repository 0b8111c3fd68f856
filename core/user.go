package core

import (
	"context"
	"time"
)

// Role determines what a user is allowed to do.
type Role string

// The roles.
const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleViewer Role = "viewer"
)

// User is a user account.
type User struct {
	ID       string
	Username string
	Email    string
	Role     Role
	// PasswordHash is an argon2id hash in its standard string form.
	PasswordHash string
	Disabled     bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Actor is the user on whose behalf a store or service is called.
type Actor struct {
	UserID string
	Role   Role
}

// Admin reports whether the actor can see and change everything.
func (a Actor) Admin() bool { return a.Role == RoleAdmin }

// UserUpdate describes changes to a user. A nil field keeps its value.
type UserUpdate struct {
	Email        *string
	Role         *Role
	Disabled     *bool
	PasswordHash *string
	// EndLogins ends all logins of the user except KeepLogin.
	EndLogins bool
	KeepLogin string
	// EndKeys deletes all API keys of the user.
	EndKeys bool
	At      time.Time
}

// UserStore stores users. Usernames are unique. Their case is ignored.
type UserStore interface {
	// CreateUser stores a new user. It fails with Conflict if the username or email is in use.
	CreateUser(ctx context.Context, audit *AuditRecord, u *User) error
	// User returns the user with the given id. It fails with NotFound.
	User(ctx context.Context, id string) (*User, error)
	// UserByName returns the user with the given username. It fails with NotFound.
	UserByName(ctx context.Context, username string) (*User, error)
	// UpdateUser changes a user and returns the updated user. It fails with NotFound, or with Conflict
	// if the email is in use or if no enabled admin would remain.
	UpdateUser(ctx context.Context, audit *AuditRecord, id string, up UserUpdate) (*User, error)
	// Users returns a page of the users, ordered by username, and the number of all users.
	Users(ctx context.Context, page Page) ([]*User, int, error)
}

// Page selects a part of a list. A page has at most Limit objects. It has fewer, but at least one, if they
// would exceed MaxPageBytes; the next page starts after the last object that it has.
type Page struct {
	Limit, Offset int
	// After is the position of the last object of the previous page. If it is not nil, the page has the next objects,
	// and Offset is ignored. Unlike an offset, it neither skips nor repeats objects when others are added or deleted.
	After *PageKey
}

// PageKey is the position of an object in its list. Each list uses the fields by which it is ordered: the time of
// creation or of the last change in Number, as microseconds since 1970, and the ID in Text.
type PageKey struct {
	Number int64
	Text   string
}

// ObjectLimits limit what each user stores, administrators as well. Zero means no limit.
type ObjectLimits struct {
	// Agents, MCPServers, Sessions and APIKeys are the maximum numbers of objects that the user owns.
	Agents, MCPServers, Sessions, APIKeys int
	// DatabaseBytes is the maximum of StorageUsage.Database. A write that exceeds it fails with PayloadTooLarge if it
	// creates or enlarges an object, or starts a run. Runs in progress are not limited.
	DatabaseBytes int64
}

// MaxPageBytes is the maximum total size of the objects of a page, unless it has only one, and of the history
// that a run receives. Without it, a user with large objects could use up the memory of the server.
const MaxPageBytes = 4 << 20

// MaxEventBytes is the maximum total size of the events that a stream reads at once, unless it is only one. It is
// less than MaxPageBytes, because a user can have many streams whose clients do not read.
const MaxEventBytes = 256 << 10
