package core

// PluginCrash is the error of a call during which the plugin's process exited.
type PluginCrash struct {
	// Err is the error for the caller.
	Err error
	// Alone reports whether the process had no other call, so that this call caused the crash.
	Alone bool
}

// Error implements error.
func (e *PluginCrash) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *PluginCrash) Unwrap() error { return e.Err }
