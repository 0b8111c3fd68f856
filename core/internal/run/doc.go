// Package run is the run engine: it claims, executes and settles runs.
//
// A run executes the loop of an agent type in a plugin process. The loop makes host calls:
// it completes with a model, calls a tool or reads a file. Package hostcall handles them.
// Package journal records each call before its result goes back to the loop, so that an
// interrupted run starts again from its beginning and continues where it was.
//
//	           StartTurn
//	               │
//	               ▼         plugin crashed: RetryRun, attempt+1
//	           ┌─running─┐◄──────────────────────────┐
//	           │         ├───────────────────────────┤
//	           │         │   server crashed: ClaimRuns, attempt+1
//	           └────┬────┘
//	   ┌────────────┼───────────┬──────────────┐
//	   ▼            ▼           ▼              ▼
//	completed     failed     cancelled    interrupted
//	 (answer)     (error)   (by Cancel,   (too many
//	                         with partial  attempts)
//	                         answer)
//
// Each arrow to an end is one transaction, which stores the answer, the end of the run, the
// call that produced the answer, and the last events. The run's owner and attempt fence it:
// a server that has lost a run cannot write to it any more.
package run
