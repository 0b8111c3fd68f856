// Package suspect remembers which runs crashed the process of a plugin, so that one run that kills its
// process does not disturb the others for long.
//
// A process executes calls of many runs at once. When it crashes, each of these runs is suspected, and its
// call is repeated in a process of its own. A run whose process crashed twice, the last time without another
// call in it, is guilty and is not repeated. Later runs of its agent and of its user go to processes of their
// own at once.
package suspect

import (
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// memory is how long a suspicion lasts after the last crash.
	memory = 10 * time.Minute
	// maxEntries limits the number of suspicions.
	maxEntries = 4096
	// guiltyCrashes is the number of crashes after which a run is not repeated.
	guiltyCrashes = 2
)

// List contains the suspected runs, agents and users of all plugins of a server. Its zero value is empty. It
// is safe for concurrent use.
type List struct {
	mu      sync.Mutex
	entries map[key]entry
}

// key identifies an object by its id. plugin is the plugin that it crashed.
type key struct{ plugin, id string }

type entry struct {
	crashes int
	until   time.Time
}

// Crashed records that a plugin's process crashed during a call of the run. alone reports whether the process
// had no other call. Crashed returns true if the run is guilty.
func (l *List) Crashed(plugin string, run *core.Run, alone bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	crashes := l.add(key{plugin, run.ID})
	guilty := alone && crashes >= guiltyCrashes
	if guilty {
		l.add(key{plugin, run.AgentID})
		l.add(key{plugin, run.UserID})
	}
	return guilty
}

// Isolate reports whether the plugin must execute calls of the run in a process of their own.
func (l *List) Isolate(plugin string, run *core.Run) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, id := range []string{run.ID, run.AgentID, run.UserID} {
		if e, ok := l.entries[key{plugin, id}]; ok && now.Before(e.until) {
			return true
		}
	}
	return false
}

// add counts a crash and returns the number of crashes.
func (l *List) add(k key) int {
	now := time.Now()
	if len(l.entries) >= maxEntries {
		l.makeRoom(now)
	}
	if l.entries == nil {
		l.entries = map[key]entry{}
	}
	e := l.entries[k]
	if !now.Before(e.until) {
		e.crashes = 0
	}
	e.crashes++
	e.until = now.Add(memory)
	l.entries[k] = e
	return e.crashes
}

// makeRoom removes the entries that have expired, or all if none has.
func (l *List) makeRoom(now time.Time) {
	before := len(l.entries)
	for k, e := range l.entries {
		if !now.Before(e.until) {
			delete(l.entries, k)
		}
	}
	if len(l.entries) == before {
		clear(l.entries)
	}
}
