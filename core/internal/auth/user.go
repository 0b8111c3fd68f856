package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

var usernames = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// CreateUser stores a new user: u's username, email and role (member unless
// set) with a password. It fills in the rest of u, and fails with Invalid, or
// with Conflict when the username or email is taken.
func (a *Auth) CreateUser(ctx context.Context, u *core.User, password string) error {
	if u.Role == "" {
		u.Role = core.RoleMember
	}
	if err := validate(u, password); err != nil {
		return err
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	now := a.clock()
	u.ID, u.PasswordHash = core.NewID("user"), hash
	core.SetAuditTarget(ctx, u.ID)
	u.CreatedAt, u.UpdatedAt = now, now
	if err := a.users.CreateUser(ctx, u); err != nil {
		return fmt.Errorf("store the user: %w", err)
	}
	return nil
}

// UpdateUser changes what is set of role, email and disabled. A user who is
// disabled, or whose role changes, is out or has the new role at once on this
// server, and within a second on others; disabling ends every sign-in. It fails
// with Invalid, NotFound or Conflict.
func (a *Auth) UpdateUser(ctx context.Context, id string, up core.UserUpdate) (*core.User, error) {
	var wrong []core.FieldError
	if up.Email != nil && !isEmail(*up.Email) {
		wrong = append(wrong, badEmail)
	}
	if up.Role != nil && !isRole(*up.Role) {
		wrong = append(wrong, badRole)
	}
	if err := invalid(wrong); err != nil {
		return nil, err
	}
	up.EndLogins = up.Disabled != nil && *up.Disabled
	up.At = a.clock()
	u, err := a.users.UpdateUser(ctx, id, up)
	a.live.forgetAll()
	return u, err
}

// ResetPassword gives a user another password and ends every sign-in of theirs. It
// fails with Invalid or NotFound.
func (a *Auth) ResetPassword(ctx context.Context, id, password string) error {
	return a.setPassword(ctx, id, "password", password, "")
}

// ChangePassword gives the user another password for the present one, and ends
// every sign-in but the one that is used. It fails with Invalid, and with
// RateLimited as Login does.
func (a *Auth) ChangePassword(ctx context.Context, p *core.Principal, current, password string) error {
	name := strings.ToLower(p.User.Username)
	if err := a.names.take(ctx, name); err != nil {
		return err
	}
	u, err := a.users.User(ctx, p.User.ID)
	if err != nil {
		return fmt.Errorf("read the user: %w", err)
	}
	ok, err := a.passwords.matches(ctx, current, u.PasswordHash)
	if err != nil {
		return err
	}
	if !ok {
		return core.Invalid("current_password", "Is not your password: give the one you sign in with")
	}
	if err := a.names.reset(ctx, name); err != nil {
		return err
	}
	return a.setPassword(ctx, u.ID, "new_password", password, p.LoginID)
}

func (a *Auth) setPassword(ctx context.Context, id, field, password, keepLogin string) error {
	if err := checkPassword(field, password); err != nil {
		return err
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = a.users.UpdateUser(ctx, id, core.UserUpdate{PasswordHash: &hash, EndLogins: true, KeepLogin: keepLogin, At: a.clock()})
	a.live.forgetAll()
	return err
}

func checkPassword(field, password string) error {
	if n := utf8.RuneCountInString(password); n < 8 || n > 256 {
		return core.Invalid(field, "Must be 8 to 256 characters long")
	}
	return nil
}

var (
	badEmail = core.FieldError{Field: "email", Issue: "Must be an email address, like name@example.com"}
	badRole  = core.FieldError{Field: "role", Issue: "Must be one of: admin, member, viewer"}
)

func isRole(r core.Role) bool {
	return r == core.RoleAdmin || r == core.RoleMember || r == core.RoleViewer
}

// invalid is nil when nothing is wrong.
func invalid(wrong []core.FieldError) error {
	if len(wrong) == 0 {
		return nil
	}
	return &core.Error{Code: core.CodeValidation, Message: "Invalid request data", Fields: wrong}
}

func validate(u *core.User, password string) error {
	var wrong []core.FieldError
	if !usernames.MatchString(u.Username) {
		wrong = append(wrong, core.FieldError{Field: "username", Issue: "Must be 1 to 64 of A-Z, a-z, 0-9, dot, underscore, @ and hyphen"})
	}
	if !isEmail(u.Email) {
		wrong = append(wrong, badEmail)
	}
	var bad *core.Error
	if errors.As(checkPassword("password", password), &bad) {
		wrong = append(wrong, bad.Fields...)
	}
	if !isRole(u.Role) {
		wrong = append(wrong, badRole)
	}
	return invalid(wrong)
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254
}

// EnsureAdmin makes the first user, an admin, if there is none yet. Without a
// password it makes one up and gives it; it gives nothing when it made no user
// or was told the password.
func (a *Auth) EnsureAdmin(ctx context.Context, username, password string) (generated string, err error) {
	_, total, err := a.users.Users(ctx, core.Page{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("count the users: %w", err)
	}
	if total > 0 {
		return "", nil
	}
	username = orDefault(username, "admin")
	if password == "" {
		generated = rand.Text()
		password = generated
	}
	email := username
	if !strings.Contains(email, "@") {
		email += "@localhost"
	}
	err = a.CreateUser(ctx, &core.User{Username: username, Email: email, Role: core.RoleAdmin}, password)
	if core.CodeOf(err) == core.CodeConflict {
		return "", nil // another replica was first
	}
	if err != nil {
		return "", fmt.Errorf("make the first admin: %w", err)
	}
	return generated, nil
}
