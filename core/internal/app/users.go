package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/limit"
	"github.com/agentarea/agentarea/storage"
)

// userCommands are agentarea users ….
type userCommands struct {
	ResetPassword resetPasswordCommand `cmd:"" help:"Give a user a new password, which is printed, and enable the user: for an admin who can't sign in. Servers may run."`
}

type resetPasswordCommand struct {
	database
	Username string `arg:"" help:"Whose password."`
}

// commandLine is who does it, in the audit: nobody has signed in.
const commandLine = "(command line)"

func (c *resetPasswordCommand) run(ctx context.Context, stdout io.Writer) error {
	return withDatabase(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		if s, err := db.Schema(ctx); err != nil || s.Version != s.Known {
			return errors.Join(err, errors.New("the database is of another schema than this program's: agentarea db status tells more"))
		}
		u, err := db.UserByName(ctx, c.Username)
		if core.CodeOf(err) == core.CodeNotFound {
			return fmt.Errorf("there is no user %q (names are told by GET /v1/users/)", c.Username)
		}
		if err != nil {
			return err
		}
		// No token is signed or read here.
		authn, err := auth.New(auth.Options{Users: db, Logins: db, Keys: db, Rates: limit.NewMemory(nil), Secret: []byte(rand.Text() + rand.Text())})
		if err != nil {
			return err
		}
		ctx := core.WithAuditRecord(ctx, &core.AuditRecord{AuditEntry: core.AuditEntry{
			At: time.Now(), Action: "reset-password", Target: u.ID, Username: commandLine,
		}})
		password := rand.Text()
		if err := authn.ResetPassword(ctx, u.ID, password); err != nil {
			return err
		}
		if _, err := authn.UpdateUser(ctx, u.ID, core.UserUpdate{Disabled: new(false)}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "The password of %q is now %s\n(it is shown this once: change it by POST /v1/auth/password).\n", u.Username, password)
		return err
	})
}
