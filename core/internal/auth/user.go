package auth

import (
	"cmp"
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

// CreateUser validates and stores a new user with u's username, email and role (default: member),
// and fills in the other fields of u. It fails with Invalid, or with Conflict if the username or
// email is taken.
func (a *Auth) CreateUser(ctx context.Context, audit *core.AuditRecord, u *core.User, password string) error {
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
	audit.SetTarget(u.ID)
	u.CreatedAt, u.UpdatedAt = now, now
	if err := a.users.CreateUser(ctx, audit, u); err != nil {
		return fmt.Errorf("store the user: %w", err)
	}
	return nil
}

// UpdateUser changes the fields of up that are set: role, email and disabled. The change takes
// effect immediately on this server and within a second on other replicas. Disabling a user ends all
// their sign-ins. It fails with Invalid, NotFound or Conflict.
func (a *Auth) UpdateUser(
	ctx context.Context, audit *core.AuditRecord, id string, up core.UserUpdate,
) (*core.User, error) {
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
	u, err := a.users.UpdateUser(ctx, audit, id, up)
	a.live.forgetAll()
	return u, err
}

// ResetPassword sets a user's password and ends all their sign-ins, and with endKeys also deletes their API
// keys. It fails with Invalid or NotFound.
func (a *Auth) ResetPassword(ctx context.Context, audit *core.AuditRecord, id, password string, endKeys bool) error {
	return a.setPassword(ctx, audit, id, newPassword{field: "password", text: password, endKeys: endKeys})
}

// EndSessions ends all sign-ins of a user and deletes all their API keys, immediately on this server and within
// a second on other replicas. It fails with NotFound.
func (a *Auth) EndSessions(ctx context.Context, audit *core.AuditRecord, id string) error {
	_, err := a.users.UpdateUser(ctx, audit, id, core.UserUpdate{EndLogins: true, EndKeys: true, At: a.clock()})
	a.live.forgetAll()
	return err
}

// ChangePassword replaces the password of p's user, who must know the current one, and ends all
// sign-ins except p's. It fails with Invalid, and with RateLimited after too many wrong passwords. Those are
// counted for each login, and together for all API keys of a user, because a key can create more keys. So
// neither failed sign-ins nor someone with another credential keep a user from changing the password.
func (a *Auth) ChangePassword(
	ctx context.Context, audit *core.AuditRecord, p *core.Principal, current, password string,
) error {
	who := p.LoginID
	if p.Key != nil {
		who = p.User.ID
	}
	if err := a.changes.take(ctx, who); err != nil {
		return err
	}
	err := a.checkCurrent(ctx, p.User.ID, current)
	if core.CodeOf(err) == core.CodeValidation {
		return err
	}
	if err != nil {
		return errors.Join(err, a.changes.refund(ctx, who))
	}
	if err := a.changes.reset(ctx, who); err != nil {
		return err
	}
	return a.setPassword(ctx, audit, p.User.ID, newPassword{field: "new_password", text: password, keepLogin: p.LoginID})
}

// checkCurrent fails with Invalid if the password is not that of the user.
func (a *Auth) checkCurrent(ctx context.Context, userID, current string) error {
	u, err := a.users.User(ctx, userID)
	if err != nil {
		return fmt.Errorf("read the user: %w", err)
	}
	ok, err := a.passwords.matches(ctx, current, u.PasswordHash)
	if err == nil && !ok {
		return core.Invalid("current_password", "The current password is incorrect")
	}
	return err
}

// newPassword is a change of a password.
type newPassword struct {
	// field is the field of the request with the password.
	field, text string
	// keepLogin is a login that does not end.
	keepLogin string
	// endKeys deletes the user's API keys.
	endKeys bool
}

func (a *Auth) setPassword(ctx context.Context, audit *core.AuditRecord, id string, p newPassword) error {
	if err := checkPassword(p.field, p.text); err != nil {
		return err
	}
	hash, err := a.passwords.hash(ctx, p.text)
	if err != nil {
		return err
	}
	_, err = a.users.UpdateUser(ctx, audit, id, core.UserUpdate{
		PasswordHash: &hash, EndLogins: true, KeepLogin: p.keepLogin, EndKeys: p.endKeys, At: a.clock(),
	})
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
	badEmail = core.FieldError{Field: "email", Issue: "Must be an email address such as name@example.com"}
	badRole  = core.FieldError{Field: "role", Issue: "Must be one of: admin, member, viewer"}
)

func isRole(r core.Role) bool {
	return r == core.RoleAdmin || r == core.RoleMember || r == core.RoleViewer
}

// invalid returns a validation error with the given fields, or nil if there are none.
func invalid(wrong []core.FieldError) error {
	if len(wrong) == 0 {
		return nil
	}
	return &core.Error{Code: core.CodeValidation, Message: "Invalid request data", Fields: wrong}
}

func validate(u *core.User, password string) error {
	var wrong []core.FieldError
	if !usernames.MatchString(u.Username) {
		wrong = append(wrong,
			core.FieldError{
				Field: "username", Issue: "Must have 1 to 64 of the characters A-Z, a-z, 0-9, \".\", \"_\", \"@\" and \"-\"",
			})
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

// EnsureAdmin creates the first user, an administrator, if there are no users. If password is empty,
// it generates one and returns it. Otherwise, and if users exist, it returns "".
func (a *Auth) EnsureAdmin(ctx context.Context, username, password string) (generated string, err error) {
	_, total, err := a.users.Users(ctx, core.Page{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("count the users: %w", err)
	}
	if total > 0 {
		return "", nil
	}
	username = cmp.Or(username, "admin")
	if password == "" {
		generated = rand.Text()
		password = generated
	}
	email := username
	if !strings.Contains(email, "@") {
		email += "@localhost"
	}
	err = a.CreateUser(ctx, nil, &core.User{Username: username, Email: email, Role: core.RoleAdmin}, password)
	if core.CodeOf(err) == core.CodeConflict {
		return "", nil // another replica was first
	}
	if err != nil {
		return "", fmt.Errorf("create the first administrator: %w", err)
	}
	return generated, nil
}
