// Package secrets encrypts the secrets in the database (envelope encryption): each secret has its own
// data key, which is encrypted ("wrapped") with a key derived from the server's root key. A change of
// the root key rewraps the data keys and leaves the encrypted secrets as they are.
//
// An encrypted secret starts with a byte for its form and the id of the root key:
//
//	form 2   2, id (8), wrapped data key (12 + 32 + 16), secret (12 + n + 16)
//	form 1   1, id (8), secret (12 + n + 16), encrypted with a key derived from the root key
//
// Both parts are AES-256-GCM, with a random nonce before and a tag after. The data key is
// authenticated with the form, the id of the root key and the id of the row; the secret is
// authenticated with the form and the id of the row. So a ciphertext cannot be used in another row. The
// id of the root key identifies the necessary key without a trial decryption. Form 1 is decrypted but no
// longer written.
package secrets

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Keyring encrypts and decrypts secrets with a set of root keys. It implements core.Encrypter and is
// safe for concurrent use.
type Keyring struct {
	// current encrypts; every key of keys decrypts.
	current *key
	keys    map[KeyID]*key
	// ids are the ids of the keys, the current one first.
	ids []KeyID
}

// New returns a Keyring that encrypts with the first root key and decrypts with all of them. It
// returns an error if there is no key or if one is shorter than 32 bytes.
func New(roots ...[]byte) (*Keyring, error) {
	if len(roots) == 0 {
		return nil, errors.New("no secret key is set")
	}
	r := &Keyring{keys: map[KeyID]*key{}}
	for _, root := range roots {
		k, err := newKey(root)
		if err != nil {
			return nil, err
		}
		if r.current == nil {
			r.current = k
		}
		r.keys[k.id] = k
		r.ids = append(r.ids, k.id)
	}
	return r, nil
}

// Current returns the id of the key that encrypts.
func (r *Keyring) Current() KeyID { return r.current.id }

// Has reports whether the keyring has the key with that id.
func (r *Keyring) Has(id KeyID) bool { return r.keys[id] != nil }

// IDs returns the ids of all keys, the current one first.
func (r *Keyring) IDs() []string {
	ids := make([]string, len(r.ids))
	for i, id := range r.ids {
		ids[i] = id.String()
	}
	return ids
}

// Fingerprint returns a short hash of the text. The hash depends on the current key, so that nobody without the key can
// test guesses of the text.
func (r *Keyring) Fingerprint(text string) string {
	mac := hmac.New(sha256.New, r.current.fingerprint)
	_, _ = mac.Write([]byte(text)) // never fails
	return hex.EncodeToString(mac.Sum(nil)[:idSize])
}

// Encrypt implements core.Encrypter.
func (r *Keyring) Encrypt(row string, secret []byte) ([]byte, error) {
	dataKey := make([]byte, dataKeySize)
	_, _ = rand.Read(dataKey) // never fails
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	encrypted := r.current.wrap(row, dataKey, len(secret)+aead.Overhead())
	return aead.Seal(encrypted, nil, secret, secretData(row)), nil //nolint:gosec // the AEAD generates a random nonce itself
}

// Errors of Decrypt. They contain nothing of the secret.
var (
	errForm    = errors.New("its format is unknown: it is not encrypted, or was encrypted by a newer version of agentarea")
	errChanged = errors.New("it was changed, or belongs to another row: set the secret again")
	// ErrKey means that the keyring does not have the key that encrypted the secret.
	ErrKey = errors.New(
		"it was encrypted with another secret key: start the server with that key, or set the secret again",
	)
)

// Decrypt implements core.Encrypter.
func (r *Keyring) Decrypt(row string, encrypted []byte) ([]byte, error) {
	secret, err := r.decrypt(row, encrypted)
	if err != nil {
		return nil, fmt.Errorf("decrypt the secret of %s: %w", row, err)
	}
	return secret, nil
}

func (r *Keyring) decrypt(row string, encrypted []byte) ([]byte, error) {
	k, p, err := r.split(encrypted)
	if err != nil {
		return nil, err
	}
	if p.form == formDirect {
		return open(k.direct, p.secret, k.additionalData(formDirect, row))
	}
	aead, err := k.unwrap(row, p)
	if err != nil {
		return nil, err
	}
	return open(aead, p.secret, secretData(row))
}

// Rewrap returns an encrypted secret for the current key: it rewraps the data key of form 2, and
// encrypts form 1 again. It first checks that the secret can be decrypted. A secret of the current
// key is returned unchanged and unchecked.
func (r *Keyring) Rewrap(row string, encrypted []byte) ([]byte, error) {
	again, err := r.rewrap(row, encrypted)
	if err != nil {
		return nil, fmt.Errorf("rewrap the secret of %s: %w", row, err)
	}
	return again, nil
}

func (r *Keyring) rewrap(row string, encrypted []byte) ([]byte, error) {
	k, p, err := r.split(encrypted)
	switch {
	case err != nil:
		return nil, err
	case p.form == formDirect:
		secret, err := r.decrypt(row, encrypted)
		if err != nil {
			return nil, err
		}
		return r.Encrypt(row, secret)
	case k == r.current:
		return encrypted, nil
	}
	if _, err := r.decrypt(row, encrypted); err != nil {
		return nil, err
	}
	dataKey, err := open(k.wrapping, p.dataKey, k.additionalData(formEnvelope, row))
	if err != nil {
		return nil, err
	}
	return append(r.current.wrap(row, dataKey, len(p.secret)), p.secret...), nil
}

// split returns the parts of an encrypted secret and its root key. It returns ErrKey if the keyring
// does not have the key.
func (r *Keyring) split(encrypted []byte) (*key, parts, error) {
	p, err := parse(encrypted)
	if err != nil {
		return nil, p, err
	}
	k := r.keys[p.id]
	if k == nil {
		return nil, p, ErrKey
	}
	return k, p, nil
}

func open(aead cipher.AEAD, encrypted, additionalData []byte) ([]byte, error) {
	secret, err := aead.Open(nil, nil, encrypted, additionalData)
	if err != nil {
		return nil, errChanged
	}
	return secret, nil
}

// secretData returns the additional data of a secret of form 2. It does not contain the id of the root
// key, which changes when the data key is rewrapped.
func secretData(row string) []byte { return append([]byte{formEnvelope}, row...) }

// IDOf returns the id of the root key that encrypted a secret, and reports whether the secret has an
// older form than Encrypt writes. It returns an error if this program did not encrypt it.
func IDOf(encrypted []byte) (id KeyID, old bool, err error) {
	p, err := parse(encrypted)
	return p.id, p.form == formDirect, err
}

// parts are the parts of an encrypted secret.
type parts struct {
	form    byte
	id      KeyID
	dataKey []byte
	secret  []byte
}

func parse(encrypted []byte) (p parts, err error) {
	rest, wrapped := encrypted, 0
	if len(rest) < headSize {
		return p, errForm
	}
	p.form = rest[0]
	copy(p.id[:], rest[1:])
	rest = rest[headSize:]
	switch p.form {
	case formDirect:
	case formEnvelope:
		wrapped = dataKeySize + overhead
	default:
		return parts{}, errForm
	}
	if len(rest) < wrapped+overhead {
		return parts{}, errForm
	}
	p.dataKey, p.secret = bytes.Clone(rest[:wrapped]), rest[wrapped:]
	return p, nil
}
