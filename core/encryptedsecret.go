package core

import "context"

// EncryptedSecret is a secret as it is stored, with the row that it is of.
type EncryptedSecret struct {
	// ID is the row's, to which the secret is bound.
	ID string
	// Name is how people know the row, as in MCP server "weather".
	Name  string
	Bytes []byte
}

// EncryptedSecretStore gives what a Encrypter has sealed, whatever it is of, so that it can be
// looked over and wrapped in another key.
type EncryptedSecretStore interface {
	// EncryptedSecrets are those whose row's id is after the given one, by id.
	EncryptedSecrets(ctx context.Context, after string, limit int) ([]EncryptedSecret, error)
	// ReplaceEncryptedSecret stores again in place of s, where s is still what is stored, and
	// says so. It changes nothing else of the row, its version and times neither.
	ReplaceEncryptedSecret(ctx context.Context, s EncryptedSecret, again []byte) (bool, error)
}
