package app

import (
	"context"
	"log/slog"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/secrets"
)

// logUndecryptable logs the secrets that the server's keys cannot decrypt. The server
// starts anyway: the stored secrets stay unchanged, and only features that need them fail.
func logUndecryptable(
	ctx context.Context, store core.EncryptedSecretStore, keyring *secrets.Keyring, logger *slog.Logger,
) error {
	bad, err := secrets.FindUndecryptable(ctx, store, keyring)
	if err == nil && len(bad.Names) > 0 {
		logger.ErrorContext(ctx,
			"secrets cannot be decrypted with this server's keys: they stay stored, but what needs them does not work. "+
				"Start the server with the key that encrypted them in AGENTAREA_SECRET_KEY or secret.key, after the current key, "+
				"or set the secrets again",
			"secrets", bad.Names, "encrypted_with", bad.KeyIDs(), "current", keyring.Current().String())
	}
	return err
}
