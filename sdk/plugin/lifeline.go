package plugin

import (
	"io"
	"os"
)

// watchHost calls onExit when the host's end of stdin is closed, which happens whenever the host exits.
// It does nothing if stdin is not a pipe, for example because it is a terminal or /dev/null.
func watchHost(stdin *os.File, onExit func()) {
	st, err := stdin.Stat()
	if err != nil || st.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		onExit()
	}()
}
