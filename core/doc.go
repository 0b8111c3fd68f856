// Package core holds AgentArea's nouns and the contracts between its rooms: the
// store interfaces that storage implements, the errors that every layer
// speaks, and the ports through which the API reaches the engine and the
// plugins. It imports the standard library and sdk's root only.
//
// What somebody may see or change is decided by the stores: every method that
// takes a Actor answers NotFound for what the viewer may not see, and
// Forbidden for what the viewer may see but not change.
package core
