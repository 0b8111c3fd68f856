package mcp

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestLogBufferKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	r := newLogBuffer(10 * (lineCost + 4))
	for i := range 25 {
		r.add(sourceStderr, fmt.Sprintf("%04d", i))
	}
	read := func(tail int) (seqs []int64, texts string) {
		for line := range r.read(t.Context(), tail, false) {
			seqs = append(seqs, line.Seq)
			texts += line.Text + " "
		}
		return seqs, texts
	}
	if seqs, texts := read(3); texts != "0022 0023 0024 " || seqs[0] != 23 {
		t.Errorf("got %v %q", seqs, texts)
	}
	if seqs, _ := read(1000); len(seqs) != 10 || seqs[0] != 16 {
		t.Errorf("got %v, want the last ten", seqs)
	}
	if seqs, _ := read(0); len(seqs) != 0 {
		t.Errorf("got %v from an empty log", seqs)
	}
	r.add(sourceStderr, strings.Repeat("é", maxLine))
	if _, texts := read(1); len(texts) > maxLine+10 || !strings.HasSuffix(texts, "é… ") {
		t.Errorf("a long line has %d bytes", len(texts))
	}
}

// TestLogBufferIsBounded checks that memory is bounded and that writers do not wait.
func TestLogBufferIsBounded(t *testing.T) {
	t.Parallel()
	r := newLogBuffer(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers sync.WaitGroup
	stuck := make(chan struct{})
	for i := range 3 {
		readers.Go(func() {
			last := int64(0)
			for line := range r.read(ctx, 10, true) {
				if line.Seq <= last {
					t.Errorf("got line %d after %d", line.Seq, last)
				}
				last = line.Seq
				if i == 0 {
					<-stuck
				}
				if line.Text == "last" {
					return
				}
			}
		})
	}
	line := strings.Repeat("x", 1000)
	for range 20_000 {
		r.add(sourceStderr, line)
	}
	r.add(sourceHost, "last")
	close(stuck)
	readers.Wait()
	if r.bytes > 1<<20 || cap(r.lines) > 8192 {
		t.Errorf("kept %d bytes, %d lines", r.bytes, cap(r.lines))
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	r := newRedactor(core.MCPSecrets{
		Env: map[string]string{
			"A": "alpha", "B": "alphabet", "SHORT": "abc", "EMPTY": "",
			"PEM": "-----BEGIN-----\nMIIB0123\n-----END-----\n", "M": core.Masked,
		},
		Headers: map[string]string{"Authorization": "Bearer tok-123"},
		URL:     "https://example.com/mcp?apiKey=s3cret%2Fvalue",
	})
	for in, want := range map[string]string{
		"nothing here, abc":           "nothing here, abc",
		"alpha and alphabet":          "*** and ***",
		"line MIIB0123 of a key":      "line *** of a key",
		"sent Bearer tok-123":         "sent ***",
		"token=tok-123&x":             "token=***&x",
		"/mcp?apiKey=s3cret%2Fvalue":  "/mcp?apiKey=***",
		"no key s3cret/value":         "no key ***",
		strings.Repeat("alpha", 2_00): strings.Repeat("***", 200),
	} {
		if got := r.redactAll(in); got != want {
			t.Errorf("redactAll(%q) = %q, want %q", in, got, want)
		}
	}
}
