package cli

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/limit"
	"github.com/agentarea/agentarea/storage"
)

// usersCommands are the agentarea users commands.
type usersCommands struct {
	ResetPassword resetPasswordCommand `cmd:"" help:"Enable a user and set a new random password, which is printed. Use it when no admin can sign in. Servers may be running."`
}

// resetPasswordCommand is agentarea users reset-password.
type resetPasswordCommand struct {
	databaseFlags
	EndAPIKeys bool   `name:"end-api-keys" help:"Also delete all API keys of the user."`
	Username   string `arg:"" help:"The user's name."`
}

// commandLine is the username in the audit record, because nobody has signed in.
const commandLine = "(command line)"

// Run resets the password and prints the new one.
func (c *resetPasswordCommand) Run(ctx context.Context, out *output) error {
	return storage.With(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		if err := checkSchema(ctx, db); err != nil {
			return err
		}
		u, err := db.UserByName(ctx, c.Username)
		if core.CodeOf(err) == core.CodeNotFound {
			return fmt.Errorf("user %q does not exist (list the users with GET /v1/users/)", c.Username)
		}
		if err != nil {
			return err
		}
		// The secret is random because no token is signed or verified here.
		authn, err := auth.New(auth.Options{
			Users: db, Logins: db, Keys: db, Rates: limit.NewMemory(nil), Secret: []byte(rand.Text() + rand.Text()),
		})
		if err != nil {
			return err
		}
		audit := &core.AuditRecord{AuditEntry: core.AuditEntry{
			Action: "reset-password", Target: u.ID, Username: commandLine,
		}}
		password := rand.Text()
		if err := authn.ResetPassword(ctx, audit, u.ID, password, c.EndAPIKeys); err != nil {
			return err
		}
		if _, err := authn.UpdateUser(ctx, nil, u.ID, core.UserUpdate{Disabled: new(false)}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.stdout,
			"The new password of %q is %s\n(it is not shown again: change it with POST /v1/auth/password).\n",
			u.Username, password)
		return err
	})
}
