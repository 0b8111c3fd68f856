package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"log/slog"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/secrets"
)

// keySecret returns the secret of the hashes that are stored with idempotency keys. It is the same on all servers with
// the same secret key.
func (a *App) keySecret() []byte {
	secret, err := hkdf.Key(sha256.New, a.keys[0], nil, "agentarea idempotency keys v1", sha256.Size)
	if err != nil {
		panic(err) // it fails only for a length that is too large
	}
	return secret
}

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
