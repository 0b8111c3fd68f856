package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// minKey is the minimum length of a secret key in bytes.
const minKey = 32

// ParseKeys decodes a list of secret keys, separated by commas or newlines. Each must have at least 32 bytes
// in hex or base64. Duplicates are removed. The errors contain nothing of a key.
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
		return nil, fmt.Errorf("no key is set")
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
