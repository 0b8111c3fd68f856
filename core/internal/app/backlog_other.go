//go:build !linux

package app

import "net"

// refuseConnections does nothing on this system: the connections that are not accepted yet are reset when the
// listener is closed.
func refuseConnections(net.Listener) error { return nil }
