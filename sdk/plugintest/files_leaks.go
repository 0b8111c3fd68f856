package plugintest

import (
	"context"
	"io"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// leaks checks what calls leave behind, in particular those that are cancelled.
func (s *checks) leaks(t *testing.T) {
	p := Start(t, files.Kind, s.command)
	other := &checks{client: files.NewClient(p.Conn)}
	key, cut := s.key(t, "k"), s.key(t, "cut")
	data := noise(10, 3<<20) // more than the buffers of a stream
	other.put(t, key, data)
	s.put(t, s.key(t, "another"), []byte("x"))
	p.checkLeaks(t, "calls", func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := other.client.Get(ctx, key, 0, 0)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
			t.Errorf("read: %v", err)
		}
		cancel()
		_ = r.Close()
		for _, err := range other.client.List(t.Context(), s.folder(t), "") {
			if err != nil {
				t.Errorf("List: %v", err)
			}
			break
		}
		if _, err := other.client.Stat(t.Context(), cut); codeOf(err) != sdk.CodeNotFound {
			t.Errorf("Stat of a missing key: error %v, want %s", err, sdk.CodeNotFound)
		}
		other.interruptPut(t, cut, 100<<10, -1, "cancel")
	})
}
