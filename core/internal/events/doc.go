// Package events is the event log of runs and the delivery of events and notifications to
// their watchers.
//
// Each run has a Stream while this server executes it. The events of a run have increasing
// sequence numbers. Events are added in two ways:
//
//   - Tokens are shown to watchers immediately and stored in group commits: one transaction for
//     all runs, at most every 250 ms. No token waits for the database. A crash loses at most
//     the last batch of tokens of an unfinished message; the run then starts that message
//     again.
//   - All other events are stored first and shown afterwards. Publish passes the rows to the
//     caller, which stores them in its own transaction. None of these events is lost.
//
// Watchers pull. Each has a position, and Next returns all events above it: from memory, or
// from the database for a watcher that is far behind. So a slow watcher does not delay
// others, and no event is dropped.
//
// A run that is resumed after a crash continues with numbers far above those that may have
// been shown but not stored. So the position of a watcher never hides a new event.
package events
