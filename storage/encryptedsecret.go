package storage

import (
	"context"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// EncryptedSecrets implements core.EncryptedSecretStore. At present only MCP servers have secrets.
// Another table with secrets must be added here, and its ids must differ from those of MCP servers.
func (db *DB) EncryptedSecrets(ctx context.Context, after string, limit int) ([]core.EncryptedSecret, error) {
	var rows []mcpServerRow
	err := db.read.NewSelect().Model(&rows).Column("id", "slug", "secrets").
		Where("id > ?", after).Where("secrets IS NOT NULL").Order("id").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	secrets := make([]core.EncryptedSecret, len(rows))
	for i, r := range rows {
		secrets[i] = core.EncryptedSecret{ID: r.ID, Name: fmt.Sprintf("%s %q", nounMCPServer, r.Slug), Bytes: r.Secrets}
	}
	return secrets, nil
}

// ReplaceEncryptedSecret implements core.EncryptedSecretStore.
func (db *DB) ReplaceEncryptedSecret(
	ctx context.Context, s core.EncryptedSecret, replacement []byte,
) (replaced bool, err error) {
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		res, err := tx.NewUpdate().Model((*mcpServerRow)(nil)).Set("secrets = ?", replacement).
			Where("id = ?", s.ID).Where("secrets = ?", s.Bytes).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		replaced = n > 0
		return err
	})
	return replaced && err == nil, err
}
