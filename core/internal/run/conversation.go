package run

import (
	"maps"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/sdk"
)

// conversation knows the files that a run may read: those that its messages
// name, and those that it has written itself. Nothing else of the user's is in
// the reach of a model or of an agent type.
type conversation struct {
	mu    sync.Mutex
	named []sdk.File
	// written are by the number of the call that did it.
	written map[uint64]sdk.File
}

// add notes what the messages name, oldest first.
func (c *conversation) add(messages ...sdk.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range messages {
		for _, p := range m.Parts {
			if p.File != nil && !slices.ContainsFunc(c.named, func(f sdk.File) bool { return f.ID == p.File.ID }) {
				c.named = append(c.named, *p.File)
			}
		}
	}
}

func (c *conversation) wrote(number uint64, f sdk.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written == nil {
		c.written = map[uint64]sdk.File{}
	}
	c.written[number] = f
}

// news are the files that the run has written, in the order of its calls.
func (c *conversation) news() []sdk.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]sdk.File, 0, len(c.written))
	for _, number := range slices.Sorted(maps.Keys(c.written)) {
		out = append(out, c.written[number])
	}
	return out
}

// all are the files as they were when they were named, each once.
func (c *conversation) all() []sdk.File {
	news := c.news()
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Clone(c.named), news...)
}

func (c *conversation) find(id string) (sdk.File, bool) {
	all := c.all()
	i := slices.IndexFunc(all, func(f sdk.File) bool { return f.ID == id })
	if i < 0 {
		return sdk.File{}, false
	}
	return all[i], true
}

// answer is a loop's answer as it is kept: with the files that the run has
// written, so that later turns name them, and without those that are not the
// conversation's.
func (c *conversation) answer(parts []sdk.Part) []sdk.Part {
	out := make([]sdk.Part, 0, len(parts))
	var in []string
	for _, p := range parts {
		if p.File != nil {
			f, ok := c.find(p.File.ID)
			if !ok || slices.Contains(in, f.ID) {
				continue
			}
			in = append(in, f.ID)
			p = sdk.Part{File: &f}
		}
		out = append(out, p)
	}
	for _, f := range c.news() {
		if !slices.Contains(in, f.ID) {
			out = append(out, sdk.Part{File: &f})
		}
	}
	return out
}
