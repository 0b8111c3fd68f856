package plugin

import (
	"io"
	"os"
)

// watchHost calls gone when the host's end of stdin is closed, which happens
// however the host dies. Only a pipe is a lifeline: a host that gives none (a
// terminal, /dev/null) has other means.
func watchHost(stdin *os.File, gone func()) {
	st, err := stdin.Stat()
	if err != nil || st.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		gone()
	}()
}
