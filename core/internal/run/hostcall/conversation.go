package hostcall

import (
	"maps"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/sdk"
)

// conversation holds the files that a run may read: those that its messages name, and
// those that the run has written. A model or an agent type can reach no other files of
// the user. Its methods may be called concurrently.
type conversation struct {
	mu    sync.Mutex
	named []sdk.File
	// written holds the files by the number of the call that wrote them.
	written map[uint64]sdk.File
}

// add adds the files that messages name, oldest first.
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

// addWritten adds the file that the call with that number wrote.
func (c *conversation) addWritten(number uint64, f sdk.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written == nil {
		c.written = map[uint64]sdk.File{}
	}
	c.written[number] = f
}

// writtenFiles returns the files that the run has written, in the order of its calls.
func (c *conversation) writtenFiles() []sdk.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]sdk.File, 0, len(c.written))
	for _, number := range slices.Sorted(maps.Keys(c.written)) {
		out = append(out, c.written[number])
	}
	return out
}

// all returns each file once, as it was when it was named or written.
func (c *conversation) all() []sdk.File {
	written := c.writtenFiles()
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Clone(c.named), written...)
}

func (c *conversation) find(id string) (sdk.File, bool) {
	all := c.all()
	i := slices.IndexFunc(all, func(f sdk.File) bool { return f.ID == id })
	if i < 0 {
		return sdk.File{}, false
	}
	return all[i], true
}

// answerParts returns parts without duplicate files and without files that are not in
// the conversation. It appends the files that the run has written, so that later turns
// name them.
func (c *conversation) answerParts(parts []sdk.Part) []sdk.Part {
	out := make([]sdk.Part, 0, len(parts))
	var included []string
	for _, p := range parts {
		if p.File != nil {
			f, ok := c.find(p.File.ID)
			if !ok || slices.Contains(included, f.ID) {
				continue
			}
			included = append(included, f.ID)
			p = sdk.Part{File: &f}
		}
		out = append(out, p)
	}
	for _, f := range c.writtenFiles() {
		if !slices.Contains(included, f.ID) {
			out = append(out, sdk.Part{File: &f})
		}
	}
	return out
}
