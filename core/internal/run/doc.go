// Package run is the engine: it executes runs and records every step.
//
// A run is an agent type's loop in a plugin process. What the loop asks of the
// host (complete with a model, call a tool, read a file) is numbered and recorded
// before its reply goes back, so that a run that was cut is started again from
// its beginning, gets the recorded replies at once, and arrives where it was.
//
//	           StartTurn
//	               │
//	               ▼         plugin died: RetryRun, attempt+1
//	           ┌─running─┐◄──────────────────────────┐
//	           │         ├───────────────────────────┤
//	           │         │   server died: ClaimRuns, attempt+1
//	           └────┬────┘
//	   ┌────────────┼───────────┬──────────────┐
//	   ▼            ▼           ▼              ▼
//	completed     failed     cancelled    interrupted
//	 (answer)     (error)   (Cancel, or    (cut too often)
//	                         partial answer)
//
// Each arrow into an end is one transaction: the answer, the run's end, the call
// that gave the answer, and the last events. Owner and attempt fence it: a
// server that lost a run can't write to it any more.
//
// Messages name files; the bytes stay where they are kept. Only when a prompt
// goes to a provider is the content put in (expand.go), and only of files that the
// run's conversation names or that the run has written (conversation.go). The
// record holds neither prompts nor bytes: what is read again is the same.
package run
