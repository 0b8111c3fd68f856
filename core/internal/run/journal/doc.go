// Package journal records the host calls of a run and replays them.
//
// A run's loop makes numbered host calls. The journal stores each call before its
// result goes back to the loop. When the run starts again after a crash, the loop
// makes the same calls, and the recorded ones are answered from the journal. The
// hash of the request shows whether a call is the same as the recorded one: Open compares
// them, and hostcall.Dispatcher fails the run if they differ.
//
// Every write carries the run's owner and attempt. The store rejects a write of a
// former owner or attempt with Conflict.
package journal
