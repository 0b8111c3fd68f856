package core

import "context"

// EncryptedSecret is a stored secret together with the row that contains it.
type EncryptedSecret struct {
	// ID is the id of the row. The encryption binds the secret to it.
	ID string
	// Name describes the row to people, for example: MCP server "weather".
	Name  string
	Bytes []byte
}

// EncryptedSecretStore provides all values that an Encrypter encrypted, of all tables. It is used to verify them
// and to encrypt them with another key.
type EncryptedSecretStore interface {
	// EncryptedSecrets returns up to limit secrets whose row ids are greater than after, ordered by
	// row id.
	EncryptedSecrets(ctx context.Context, after string, limit int) ([]EncryptedSecret, error)
	// ReplaceEncryptedSecret replaces s with replacement if s is still stored, and reports whether
	// it did. It changes nothing else in the row: neither its version nor its times.
	ReplaceEncryptedSecret(ctx context.Context, s EncryptedSecret, replacement []byte) (bool, error)
}
