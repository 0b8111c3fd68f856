package config

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestParseKeys(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 40)
	hexA, hexB := hex.EncodeToString([]byte(a)), hex.EncodeToString([]byte(b))
	urlB := base64.RawURLEncoding.EncodeToString([]byte(b))
	for text, want := range map[string][]string{
		hexA:                               {a},
		hexA + "," + urlB:                  {a, b},
		" " + hexB + " , " + hexA + " ":    {b, a},
		hexB + "\n" + hexA + "\n":          {b, a},
		hexB + "\r\n\r\n" + hexA + "\r\n":  {b, a},
		strings.ToUpper(hexA) + "," + hexA: {a},
	} {
		keys, err := ParseKeys(text)
		var got []string
		for _, k := range keys {
			got = append(got, string(k))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseKeys(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                       "no key is set",
		" ,\n":                   "no key is set",
		"hunter2":                "must be at least 32 bytes in hex or base64",
		hexA + ",hunter2":        "key 2 of 2: must be",
		hexA + " " + hexB:        "must be",
		hexA[:40]:                "must be",
		hexA + "\nhunter2\n":     "key 2 of 2: must be",
		"ключ " + hexA + "," + b: "key 1 of 2: must be",
	} {
		_, err := ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") ||
			strings.Contains(err.Error(), hexA) {
			t.Errorf("ParseKeys(%q): error %v, want %q", text, err, want)
		}
	}
}

// FuzzParseKeys checks that the keys are long enough and survive a round trip in hex, and that errors do not
// contain the text.
func FuzzParseKeys(f *testing.F) {
	f.Add(strings.Repeat("ab", 32))
	f.Add(strings.Repeat("ab", 32) + ",\n" + strings.Repeat("c", 43))
	f.Add("aTdTb0c1bW5hbVhvbm5obW1HWk5oNmpVbm5ISG1uNkY=")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys(text)
		if err != nil {
			if word := strings.TrimSpace(text); len(word) > 12 && strings.Contains(err.Error(), word) {
				t.Fatalf("the error contains %q: %v", text, err)
			}
			return
		}
		var again []string
		for _, k := range keys {
			if len(k) < minKey {
				t.Fatalf("ParseKeys returned a key of %d bytes", len(k))
			}
			again = append(again, hex.EncodeToString(k))
		}
		same, err := ParseKeys(strings.Join(again, "\n"))
		if err != nil || !slices.EqualFunc(same, keys, slices.Equal[[]byte]) {
			t.Fatalf("%q: round trip of %x = %x, error %v", text, keys, same, err)
		}
	})
}
