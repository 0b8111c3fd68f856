// Package secrets seals what must not be read in the database, in envelopes:
// each secret has a data key of its own, which is wrapped by a key derived from
// the server's root key. So a change of the root key wraps the data keys anew and
// touches no secret.
//
// What is sealed begins with a byte for its form and the id of the root key:
//
//	form 2   2, id (8), wrapped data key (12 + 32 + 16), secret (12 + n + 16)
//	form 1   1, id (8), secret (12 + n + 16), by a key of the root key itself
//
// Both halves are AES-256-GCM with a random nonce before and a tag after. With the
// data key the form, the id and what the secret is of are authenticated; with the
// secret the form and what it is of: so a sealed value is of no use in another
// row. The id tells whether a key is there without trying it. Form 1 is opened and
// not made any more.
package secrets

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// Keyring implements core.Encrypter. It may be used by several goroutines at once.
type Keyring struct {
	// current seals; all open.
	current *key
	keys    map[KeyID]*key
}

// New makes a Keyring of root keys: the first seals, all of them open. It fails
// without any, and when one is shorter than 32 bytes.
func New(roots ...[]byte) (*Keyring, error) {
	if len(roots) == 0 {
		return nil, errors.New("there is no secret key")
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
	}
	return r, nil
}

// Current is the id of the key that seals.
func (r *Keyring) Current() KeyID { return r.current.id }

// Has says whether a key of that id is there.
func (r *Keyring) Has(id KeyID) bool { return r.keys[id] != nil }

// Encrypt implements core.Encrypter.
func (r *Keyring) Encrypt(of string, secret []byte) ([]byte, error) {
	dataKey := make([]byte, dataKeySize)
	_, _ = rand.Read(dataKey) // never fails
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	sealed := r.current.wrap(of, dataKey, len(secret)+aead.Overhead())
	return aead.Seal(sealed, nil, secret, boundSecret(of)), nil //nolint:gosec // the AEAD makes a random nonce itself
}

// Why something can't be opened; none of them holds any of it.
var (
	errForm  = errors.New("it was not sealed by this program, or by a newer one")
	errWrong = errors.New("it was changed, or is the secret of something else: give the secret anew")
	// ErrKey is for what was sealed with a key that is not there.
	ErrKey = errors.New("it was sealed with another secret key: start the server with the one it had then, or give the secret anew")
)

// Open implements core.Encrypter.
func (r *Keyring) Decrypt(of string, sealed []byte) ([]byte, error) {
	secret, err := r.open(of, sealed)
	if err != nil {
		return nil, fmt.Errorf("open the secret of %s: %w", of, err)
	}
	return secret, nil
}

func (r *Keyring) open(of string, sealed []byte) ([]byte, error) {
	k, p, err := r.read(sealed)
	if err != nil {
		return nil, err
	}
	if p.form == formDirect {
		return opened(k.direct, p.secret, k.bound(formDirect, of))
	}
	aead, err := k.unwrap(of, p)
	if err != nil {
		return nil, err
	}
	return opened(aead, p.secret, boundSecret(of))
}

// Rewrap gives a sealed secret by the current key: the data key of an envelope is
// wrapped anew, and what has none is sealed anew. The secret has been found to be
// sound then. What is by the current key already is given back as it is, unopened.
func (r *Keyring) Rewrap(of string, sealed []byte) ([]byte, error) {
	again, err := r.rewrap(of, sealed)
	if err != nil {
		return nil, fmt.Errorf("wrap the secret of %s: %w", of, err)
	}
	return again, nil
}

func (r *Keyring) rewrap(of string, sealed []byte) ([]byte, error) {
	k, p, err := r.read(sealed)
	switch {
	case err != nil:
		return nil, err
	case p.form == formDirect:
		secret, err := r.open(of, sealed)
		if err != nil {
			return nil, err
		}
		return r.Encrypt(of, secret)
	case k == r.current:
		return sealed, nil
	}
	if _, err := r.open(of, sealed); err != nil {
		return nil, err
	}
	dataKey, err := opened(k.wrapping, p.dataKey, k.bound(formEnvelope, of))
	if err != nil {
		return nil, err
	}
	return append(r.current.wrap(of, dataKey, len(p.secret)), p.secret...), nil
}

// read finds the parts of what was sealed, and its key.
func (r *Keyring) read(sealed []byte) (*key, parts, error) {
	p, err := parse(sealed)
	if err != nil {
		return nil, p, err
	}
	k := r.keys[p.id]
	if k == nil {
		return nil, p, ErrKey
	}
	return k, p, nil
}

func opened(aead cipher.AEAD, sealed, bound []byte) ([]byte, error) {
	secret, err := aead.Open(nil, nil, sealed, bound)
	if err != nil {
		return nil, errWrong
	}
	return secret, nil
}

// boundSecret is what is authenticated with a secret in an envelope: not the id
// of the root key, for that may change around it.
func boundSecret(of string) []byte { return append([]byte{formEnvelope}, of...) }

// IDOf is the id of the key that something was sealed with, and whether it is of
// an older form than Seal makes. It fails for what was not sealed by this program.
func IDOf(sealed []byte) (id KeyID, old bool, err error) {
	p, err := parse(sealed)
	return p.id, p.form == formDirect, err
}

// parts are those of what was sealed.
type parts struct {
	form    byte
	id      KeyID
	dataKey []byte
	secret  []byte
}

func parse(sealed []byte) (p parts, err error) {
	rest, wrapped := sealed, 0
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
