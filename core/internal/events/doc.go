// Package events is the one log of what happens in runs, and its fan-out to
// whoever watches.
//
// Each run has a Stream while it is executed here. Events get rising sequence
// numbers. There are two ways in:
//
//   - Tokens are shown to watchers at once and reach the database in group
//     commits, one transaction for all runs at most every 250 ms. No token waits
//     for the database; kill -9 costs at most the last batch of tokens of an
//     unfinished message, and its run then starts that message anew.
//   - All others are committed first and shown afterwards: Publish gives the rows
//     for the caller's own transaction, and shows the event when that is through.
//     None of these may be lost.
//
// Watchers pull: each has a position, and Next gives all that is there above
// it, from memory or, for one that is far behind or came late, from the
// database. So a slow watcher costs nobody else anything, and nothing is dropped.
//
// A run that is taken up after a crash goes on with numbers far above those
// that its last life may have shown without having stored them, so that a
// watcher's position never hides what is new.
package events
