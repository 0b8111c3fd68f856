package api

import (
	"sync"
	"time"
)

const (
	// foldTime is how long repetitions are counted before they are written.
	foldTime = time.Minute
	// maxFolds is the maximum number of keys that are counted separately. All others share one.
	maxFolds = 10_000
)

// folder writes the first of several equal records at once, and then one record with the number of its
// repetitions within foldTime. Without it, a client could fill the audit and the log with refused requests.
// It is safe for concurrent use.
type folder struct {
	mu    sync.Mutex
	folds map[string]*fold
}

// fold counts the repetitions of a record. last writes the last one.
type fold struct {
	count int
	last  func(repeated int)
	timer *time.Timer
}

// add calls write with 1 for the first record of a key. For the others, it calls the last write with their number
// when foldTime has passed since the first. write must be safe for use after the request.
func (f *folder) add(key string, write func(repeated int)) {
	f.mu.Lock()
	if f.folds == nil {
		f.folds = map[string]*fold{}
	}
	if _, known := f.folds[key]; !known && len(f.folds) >= maxFolds {
		key = ""
	}
	if counted := f.folds[key]; counted != nil {
		counted.count++
		counted.last = write
		f.mu.Unlock()
		return
	}
	f.folds[key] = &fold{timer: time.AfterFunc(foldTime, func() { f.end(key) })}
	f.mu.Unlock()
	write(1)
}

// end writes the repetitions of a key, and starts over with the next record.
func (f *folder) end(key string) {
	f.mu.Lock()
	counted := f.folds[key]
	delete(f.folds, key)
	f.mu.Unlock()
	if counted == nil {
		return
	}
	counted.timer.Stop()
	if counted.count > 0 {
		counted.last(counted.count)
	}
}

// close writes all repetitions.
func (f *folder) close() {
	f.mu.Lock()
	keys := make([]string, 0, len(f.folds))
	for key := range f.folds {
		keys = append(keys, key)
	}
	f.mu.Unlock()
	for _, key := range keys {
		f.end(key)
	}
}
