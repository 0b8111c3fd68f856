package core

import (
	"slices"
	"testing"
)

func TestMaskURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://example.com/mcp":                   "https://example.com/mcp",
		"https://example.com/mcp?":                  "https://example.com/mcp?",
		"https://example.com/mcp?apiKey=s3cret&x=1": "https://example.com/mcp?apiKey=***&x=***",
		"https://example.com?s3cret":                "https://example.com?***",
		"https://example.com/a@b?k=a=b#f?g=h":       "https://example.com/a@b?k=***#f?g=h",
		"https://user:s3cret@example.com/":          "https://user:***@example.com/",
		"https://s3cret@example.com/":               "https://***@example.com/",
		"https://a:s3c@ret@example.com?k=":          "https://a:***@example.com?k=***",
		"no url":                                    "no url",
		"":                                          "",
	} {
		got := maskURL(text)
		if got != want {
			t.Errorf("maskURL(%q) = %q, want %q", text, got, want)
		}
		if again, ok := unmaskURL(got, text); !ok || again != text {
			t.Errorf("unmaskURL(%[2]q, %[1]q) = %[3]q, %[4]t", got, text, again, ok)
		}
	}
}

func TestUnmaskURL(t *testing.T) {
	t.Parallel()
	const old = "https://u:pw@example.com/mcp?a=1&b=2&a=3&bare"
	for text, want := range map[string]string{
		"https://u:***@other.com/?a=***&a=***&a=new": "https://u:pw@other.com/?a=1&a=3&a=new",
		"https://example.com/?b=***&***":             "https://example.com/?b=2&bare",
		"https://example.com/?b=x":                   "https://example.com/?b=x",
		"https://example.com/?c=***":                 "",
		"https://example.com/?a=***&a=***&a=***":     "",
		"https://v:***@example.com/":                 "",
	} {
		if got, ok := unmaskURL(text, old); got != want || ok != (want != "") {
			t.Errorf("unmaskURL(%q) = %q, %t", text, got, ok)
		}
	}
	if got, ok := unmaskURL("https://example.com/?a=***", ""); ok {
		t.Errorf("unmaskURL without an old URL = %s", got)
	}
}

func TestURLSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"https://u:pass@h/?debug=true&key=12345678": {"pass", "12345678"},
		"https://s3cret@h/":                         {"s3cret"},
		"https://h/?apiKey=s3cret%2Fvalue":          {"s3cret%2Fvalue", "s3cret/value"},
		"https://h/mcp":                             nil,
		"":                                          nil,
	} {
		if got := urlSecrets(text); !slices.Equal(got, want) {
			t.Errorf("urlSecrets(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzMaskURL checks that unmaskURL reverses maskURL.
func FuzzMaskURL(f *testing.F) {
	f.Add("https://u:pw@example.com/mcp?a=1&b=2#f")
	f.Add("?&&=#")
	f.Fuzz(func(t *testing.T, text string) {
		masked := maskURL(text)
		if got, ok := unmaskURL(masked, text); !ok || got != text {
			t.Fatalf("%q was masked as %q and unmasked as %q, %t", text, masked, got, ok)
		}
		if maskURL(masked) != masked {
			t.Fatalf("masking %q again = %q", masked, maskURL(masked))
		}
	})
}
