package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

const (
	formDirect   = 1
	formEnvelope = 2

	idSize      = 8
	headSize    = 1 + idSize
	dataKeySize = 32
	// overhead is what AES-GCM adds: a nonce and a tag.
	overhead = 12 + 16
	// minRoot is how long a root key must be, in bytes.
	minRoot = 32
)

// KeyID names a root key without telling of it.
type KeyID [idSize]byte

// String is the id in hex.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// key is what is derived from a root key.
type key struct {
	id KeyID
	// wrapping wraps data keys, direct has sealed the secrets of form 1.
	wrapping, direct cipher.AEAD
}

func newKey(root []byte) (*key, error) {
	if len(root) < minRoot {
		return nil, fmt.Errorf("the secret key has %d bytes and must have at least %d", len(root), minRoot)
	}
	id, err := hkdf.Key(sha256.New, root, nil, "agentarea secrets v1 key id", idSize)
	if err != nil {
		return nil, fmt.Errorf("derive the id of the key of secrets: %w", err)
	}
	k := &key{id: KeyID(id)}
	for info, to := range map[string]*cipher.AEAD{"agentarea secrets v1": &k.direct, "agentarea secrets key encryption v2": &k.wrapping} {
		derived, err := hkdf.Key(sha256.New, root, nil, info, 32)
		if err != nil {
			return nil, fmt.Errorf("derive a key of secrets: %w", err)
		}
		if *to, err = newAEAD(derived); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// wrap gives the head and the wrapped data key, with room for more.
func (k *key) wrap(of string, dataKey []byte, more int) []byte {
	sealed := make([]byte, 0, headSize+len(dataKey)+overhead+more)
	sealed = append(append(sealed, formEnvelope), k.id[:]...)
	return k.wrapping.Seal(sealed, nil, dataKey, k.bound(formEnvelope, of)) //nolint:gosec // the AEAD makes a random nonce itself
}

// unwrap gives the cipher of an envelope's data key.
func (k *key) unwrap(of string, p parts) (cipher.AEAD, error) {
	dataKey, err := opened(k.wrapping, p.dataKey, k.bound(formEnvelope, of))
	if err != nil {
		return nil, err
	}
	return newAEAD(dataKey)
}

// bound is the head, and what the secret is of.
func (k *key) bound(form byte, of string) []byte {
	return append(append([]byte{form}, k.id[:]...), of...)
}
