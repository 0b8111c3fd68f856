package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Forms of an encrypted secret; the package comment has their layout.
const (
	formDirect   = 1
	formEnvelope = 2
)

const (
	idSize      = 8
	headSize    = 1 + idSize
	dataKeySize = 32
	// overhead is the number of bytes that AES-GCM adds: a nonce and a tag.
	overhead = 12 + 16
	// minRoot is the minimum length of a root key in bytes.
	minRoot = 32
)

// KeyID identifies a root key. It is derived from the key and reveals nothing of it.
type KeyID [idSize]byte

// String returns the id in hex.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// key holds the keys that are derived from a root key.
type key struct {
	id KeyID
	// wrapping wraps data keys; direct decrypts the secrets of form 1.
	wrapping, direct cipher.AEAD
	// fingerprint is the key of Keyring.Fingerprint.
	fingerprint []byte
}

func newKey(root []byte) (*key, error) {
	if len(root) < minRoot {
		return nil, fmt.Errorf("the secret key has %d bytes and must have at least %d", len(root), minRoot)
	}
	id, err := hkdf.Key(sha256.New, root, nil, "agentarea secrets v1 key id", idSize)
	if err != nil {
		return nil, fmt.Errorf("derive the id of a secret key: %w", err)
	}
	k := &key{id: KeyID(id)}
	if k.fingerprint, err = hkdf.Key(sha256.New, root, nil, "agentarea fingerprint v1", 32); err != nil {
		return nil, fmt.Errorf("derive a key from a secret key: %w", err)
	}
	for info, to := range map[string]*cipher.AEAD{
		"agentarea secrets v1": &k.direct, "agentarea secrets key encryption v2": &k.wrapping,
	} {
		derived, err := hkdf.Key(sha256.New, root, nil, info, 32)
		if err != nil {
			return nil, fmt.Errorf("derive a key from a secret key: %w", err)
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

// wrap returns the head of an encrypted secret and its wrapped data key, with a capacity for more bytes.
func (k *key) wrap(row string, dataKey []byte, more int) []byte {
	encrypted := make([]byte, 0, headSize+len(dataKey)+overhead+more)
	encrypted = append(append(encrypted, formEnvelope), k.id[:]...)
	return k.wrapping.Seal(encrypted, nil, dataKey, k.additionalData(formEnvelope, row)) //nolint:gosec // the AEAD generates a random nonce itself
}

// unwrap returns the cipher of the data key of a secret of form 2.
func (k *key) unwrap(row string, p parts) (cipher.AEAD, error) {
	dataKey, err := open(k.wrapping, p.dataKey, k.additionalData(formEnvelope, row))
	if err != nil {
		return nil, err
	}
	return newAEAD(dataKey)
}

// additionalData returns the data that is authenticated with a data key, or with a secret of form 1:
// the head and the id of the row.
func (k *key) additionalData(form byte, row string) []byte {
	return append(append([]byte{form}, k.id[:]...), row...)
}
