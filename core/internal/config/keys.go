package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// minKey is how long a secret key must be, in bytes.
const minKey = 32

// ParseKeys decodes a list of secret keys, each at least 32 bytes in hex or base64,
// with commas or new lines between them. A key that is there twice counts once. Its
// errors hold nothing of a key.
func ParseKeys(text string) ([][]byte, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' })
	var keys [][]byte
	for i, word := range words {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		key, err := parseKey(word)
		if err != nil {
			if len(words) > 1 {
				err = fmt.Errorf("key %d of %d: %w", i+1, len(words), err)
			}
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key")
	}
	return keys, nil
}

func parseKey(word string) ([]byte, error) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(word); err == nil && len(key) >= minKey {
			return key, nil
		}
	}
	return nil, fmt.Errorf("must be at least %d bytes in hex or base64", minKey)
}
