package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "-1d": -24 * time.Hour,
		"-1d12h": -36 * time.Hour, "90s": 90 * time.Second, "2160h": 2160 * time.Hour, "1h30m": 90 * time.Minute,
		"106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "d", "30", "30 d", "1d 2h", "2h1d", "1d-2h", "1d+2h", "1dd", "1day", "NaNd", "Infd", "999999d", "106751d48h", "x",
	} {
		got, err := ParseDuration(text)
		if err == nil || !strings.Contains(err.Error(), "such as 90s, 30m, 12h or 30d") {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with an example", text, got, err)
		}
	}
}

// FuzzParseDuration checks that ParseDuration agrees with the standard library on durations without days.
func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1h", "30d", "1d12h", "-5m", "1e9d", "0x1pd", "d1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseDuration(text)
		if want, wantErr := time.ParseDuration(text); wantErr == nil && (err != nil || got != want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	})
}
