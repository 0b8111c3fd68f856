package core

import (
	"context"
	"time"
)

// Role is what a user may do.
type Role string

// The roles.
const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleViewer Role = "viewer"
)

// User is somebody who signs in.
type User struct {
	ID       string
	Username string
	Email    string
	Role     Role
	// PasswordHash is an argon2id string.
	PasswordHash string
	Disabled     bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Actor is on whose behalf a store is asked.
type Actor struct {
	UserID string
	Role   Role
}

// Admin says whether the viewer sees and may change everything.
func (v Actor) Admin() bool { return v.Role == RoleAdmin }

// UserUpdate is what to change of a user; nil stays as it is.
type UserUpdate struct {
	Email        *string
	Role         *Role
	Disabled     *bool
	PasswordHash *string
	// EndLogins ends the user's sign-ins but KeepLogin.
	EndLogins bool
	KeepLogin string
	At        time.Time
}

// UserStore keeps users. Usernames are unique without regard to case.
type UserStore interface {
	// CreateUser fails with Conflict when the username or email is taken.
	CreateUser(ctx context.Context, u *User) error
	// User fails with NotFound.
	User(ctx context.Context, id string) (*User, error)
	// UserByName fails with NotFound.
	UserByName(ctx context.Context, username string) (*User, error)
	// UpdateUser gives the user as it is then. It fails with NotFound, or with
	// Conflict when the email is taken or no admin would be left who may sign in.
	UpdateUser(ctx context.Context, id string, up UserUpdate) (*User, error)
	// Users lists by username, with the count of all.
	Users(ctx context.Context, page Page) ([]*User, int, error)
}

// Page is a part of a list.
type Page struct {
	Limit, Offset int
}
