// Package secrets seals what must not be read in the database, by AES-256-GCM
// with a key derived from the server's root key.
//
// What is sealed is a byte for this form, the id of the key, a random nonce,
// and the ciphertext with its tag. The first two, and what the secret is of, are
// authenticated too, so that a sealed value is of no use in another row. The id
// tells whether a key is the right one without trying it.
package secrets

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

const (
	// form is that of everything sealed so far.
	form = 1
	// idSize is the length of a key's id, in bytes.
	idSize = 8
	// minRoot is how long a root key must be, in bytes.
	minRoot = 32
)

// Sealer implements core.Sealer. It may be used by several goroutines at once.
type Sealer struct {
	aead cipher.AEAD
	// head begins all that this key seals: the form and the key's id.
	head []byte
}

// New makes a Sealer of the root key. It fails when that is shorter than 32 bytes.
func New(root []byte) (*Sealer, error) {
	if len(root) < minRoot {
		return nil, fmt.Errorf("the secret key has %d bytes and must have at least %d", len(root), minRoot)
	}
	key, err := hkdf.Key(sha256.New, root, nil, "agentarea secrets v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of secrets: %w", err)
	}
	id, err := hkdf.Key(sha256.New, root, nil, "agentarea secrets v1 key id", idSize)
	if err != nil {
		return nil, fmt.Errorf("derive the id of the key of secrets: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead, head: append([]byte{form}, id...)}, nil
}

// Seal implements core.Sealer.
func (s *Sealer) Seal(of string, secret []byte) ([]byte, error) {
	sealed := make([]byte, len(s.head), len(s.head)+len(secret)+s.aead.Overhead())
	copy(sealed, s.head)
	return s.aead.Seal(sealed, nil, secret, s.bound(of)), nil //nolint:gosec // the AEAD makes a random nonce itself
}

// Why something can't be opened; none of them holds any of it.
var (
	errForm  = errors.New("it was not sealed by this program, or by a newer one")
	errKey   = errors.New("it was sealed with another secret key: start the server with the one it had then, or give the secret anew")
	errWrong = errors.New("it was changed, or is the secret of something else: give the secret anew")
)

// Open implements core.Sealer.
func (s *Sealer) Open(of string, sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) < len(s.head)+s.aead.Overhead() || sealed[0] != form:
		return nil, fmt.Errorf("open the secret of %s: %w", of, errForm)
	case !bytes.HasPrefix(sealed, s.head):
		return nil, fmt.Errorf("open the secret of %s: %w", of, errKey)
	}
	secret, err := s.aead.Open(nil, nil, sealed[len(s.head):], s.bound(of))
	if err != nil {
		return nil, fmt.Errorf("open the secret of %s: %w", of, errWrong)
	}
	return secret, nil
}

// bound is what is authenticated besides the secret.
func (s *Sealer) bound(of string) []byte { return append(bytes.Clone(s.head), of...) }
