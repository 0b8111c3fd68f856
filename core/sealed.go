package core

import "context"

// Sealed is a secret as it is stored, with the row that it is of.
type Sealed struct {
	// ID is the row's, to which the secret is bound.
	ID string
	// Name is how people know the row, as in MCP server "weather".
	Name  string
	Bytes []byte
}

// SealedStore gives what a Sealer has sealed, whatever it is of, so that it can be
// looked over and wrapped in another key.
type SealedStore interface {
	// SealedValues are those whose row's id is after the given one, by id.
	SealedValues(ctx context.Context, after string, limit int) ([]Sealed, error)
	// ReplaceSealed stores again in place of s, where s is still what is stored, and
	// says so. It changes nothing else of the row, its version and times neither.
	ReplaceSealed(ctx context.Context, s Sealed, again []byte) (bool, error)
}
