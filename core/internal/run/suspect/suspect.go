// Package suspect remembers which runs crashed the process of a plugin, so that one run that kills its
// process does not disturb the others for long.
//
// A process executes calls of many runs at once. When it crashes, the runs that it was working on are suspected,
// and their calls are repeated in processes of their own. A run whose process crashed twice, the last time
// without another call in it, is guilty and is not repeated. Later runs of its agent are executed in processes
// of their own only. So are the runs of a user whose runs crashed many processes. An agent and a user whose runs
// were repeatedly in a process that crashed are suspected, too.
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
	// suspiciousCrashes is the number of crashes after which an agent or a user is suspected.
	suspiciousCrashes = 2
	// guiltyUserCrashes is the number of crashes after which all runs of a user are guilty.
	guiltyUserCrashes = 6
)

// Verdict says how a plugin must execute a call of a run.
type Verdict int

// The verdicts.
const (
	// Innocent means that the call can be executed in the process of all runs.
	Innocent Verdict = iota
	// Suspected means that the call needs a process of its own, if the plugin can have another.
	Suspected
	// Guilty means that the call must be executed in a process of its own.
	Guilty
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
	guilty  bool
	until   time.Time
}

// Crashed records that a plugin's process crashed during a call of the run. alone reports whether the process
// had no other call. Crashed returns true if the call must not be repeated.
func (l *List) Crashed(plugin string, run *core.Run, alone bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.add(key{plugin, run.ID})
	agent := l.add(key{plugin, run.AgentID})
	user := l.add(key{plugin, run.UserID})
	guilty := alone && (own.crashes >= guiltyCrashes || agent.guilty)
	if alone && (guilty || agent.crashes >= suspiciousCrashes) {
		agent.guilty = true
		l.entries[key{plugin, run.AgentID}] = agent
	}
	if alone && user.crashes >= guiltyUserCrashes {
		user.guilty = true
		l.entries[key{plugin, run.UserID}] = user
	}
	return guilty
}

// Verdict returns how the plugin must execute the next call of the run.
func (l *List) Verdict(plugin string, run *core.Run) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	verdict := Innocent
	if l.get(key{plugin, run.ID}).crashes > 0 {
		verdict = Suspected
	}
	for _, id := range []string{run.AgentID, run.UserID} {
		e := l.get(key{plugin, id})
		switch {
		case e.guilty:
			return Guilty
		case e.crashes >= suspiciousCrashes:
			verdict = Suspected
		}
	}
	return verdict
}

// get returns the entry of k, or an empty one if there is none or it has expired.
func (l *List) get(k key) entry {
	e := l.entries[k]
	if !time.Now().Before(e.until) {
		return entry{}
	}
	return e
}

// add counts a crash and returns the entry.
func (l *List) add(k key) entry {
	now := time.Now()
	if len(l.entries) >= maxEntries {
		l.makeRoom(now)
	}
	if l.entries == nil {
		l.entries = map[key]entry{}
	}
	e := l.get(k)
	e.crashes++
	e.until = now.Add(memory)
	l.entries[k] = e
	return e
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
