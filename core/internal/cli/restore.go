package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/agentarea/agentarea/core/internal/backup"
)

// restoreCommand is agentarea restore.
type restoreCommand struct {
	File string `arg:"" help:"An archive that agentarea backup wrote." placeholder:"FILE"`
	databaseFlags
	KeyFile    string `help:"A file with the server's secret keys, one per line. It becomes secret.key in the data dir." placeholder:"FILE"`
	WithoutKey bool   `help:"Restore without the key that decrypts the secrets. They must be set again."`
	DryRun     bool   `help:"Verify the archive and the target, and change nothing."`
}

// Run restores the archive and prints a summary.
func (c *restoreCommand) Run(ctx context.Context, out *output) error {
	r, err := backup.Restore(ctx, backup.RestoreOptions{
		File: c.File, DataDir: c.DataDir, DatabaseURL: c.url(),
		KeyFile: c.KeyFile, WithoutKey: c.WithoutKey, DryRun: c.DryRun,
	})
	if err != nil {
		return err
	}
	if c.DryRun {
		m := r.Manifest
		_, err := fmt.Fprintf(out.stdout, "%s is complete and can be restored here: %s, %s, written by agentarea %s at %s\n",
			c.File, countRows(m), countFiles(m.Files), m.AgentArea, m.CreatedAt)
		return err
	}
	printRestored(out.stdout, r)
	return nil
}

func printRestored(w io.Writer, r *backup.Restored) {
	m := r.Manifest
	_, _ = fmt.Fprintf(w, "restored: %s, %s, as of %s\n", countRows(m), countFiles(m.Files), m.CreatedAt)
	for _, f := range m.Elsewhere {
		_, _ = fmt.Fprintf(w, "NOT INCLUDED: %s of the file backend %q. Configure this backend in plugins.hcl.\n",
			countFiles(f), f.Backend)
	}
	printMissing(w, m)
	switch r.Key {
	case backup.KeyInDataDir:
		_, _ = fmt.Fprintln(w, "The secret key is in the data dir.")
	case backup.KeyInEnvironment:
		_, _ = fmt.Fprintln(w, "Start the server with the same AGENTAREA_SECRET_KEY.")
	case backup.KeyMissing:
		_, _ = fmt.Fprintln(w, "NOT INCLUDED: the secret key. All users must sign in again.")
	}
}
