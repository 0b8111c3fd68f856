package auth

import (
	"context"
	"crypto/rand"
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
	u.CreatedAt, u.UpdatedAt = now, now
	if err := a.users.CreateUser(ctx, u); err != nil {
		return fmt.Errorf("store the user: %w", err)
	}
	return nil
}

func validate(u *core.User, password string) error {
	var wrong []core.FieldError
	if !usernames.MatchString(u.Username) {
		wrong = append(wrong, core.FieldError{Field: "username", Issue: "Must be 1 to 64 of A-Z, a-z, 0-9, dot, underscore, @ and hyphen"})
	}
	if !isEmail(u.Email) {
		wrong = append(wrong, core.FieldError{Field: "email", Issue: "Must be an email address, like name@example.com"})
	}
	if n := utf8.RuneCountInString(password); n < 8 || n > 256 {
		wrong = append(wrong, core.FieldError{Field: "password", Issue: "Must be 8 to 256 characters long"})
	}
	switch u.Role {
	case core.RoleAdmin, core.RoleMember, core.RoleViewer:
	default:
		wrong = append(wrong, core.FieldError{Field: "role", Issue: "Must be one of: admin, member, viewer"})
	}
	if len(wrong) > 0 {
		return &core.Error{Code: core.CodeValidation, Message: "Invalid request data", Fields: wrong}
	}
	return nil
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
