package app

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// handshakeTime is the time in which a client completes a connection that it has begun.
	handshakeTime = 100 * time.Millisecond
	// backlogTime bounds the time to accept the connections that the kernel holds for a listener.
	backlogTime = 2 * time.Second
)

// dropSYN is a classic BPF program that drops the TCP segments that begin a connection.
var dropSYN = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},            // the flags of the TCP header
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jf: 1}, // SYN
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},                           // drop the segment
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},                  // keep all of it
}

// refuseConnections makes the kernel ignore attempts to connect to the listener, and waits until the server has
// accepted the connections that exist. The caller must close the listener afterwards. Closing it alone would reset
// connections whose requests have been sent, and a proxy does not repeat such a POST. An ignored client tries to
// connect again after a second, and then gets "connection refused", so that a proxy tries another server.
func refuseConnections(listener net.Listener) error {
	socket, ok := listener.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(dropSYN)), Filter: &dropSYN[0]}
	err = control(raw, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	if err != nil {
		return err
	}
	time.Sleep(handshakeTime)
	for began := time.Now(); time.Since(began) < backlogTime; time.Sleep(time.Millisecond) {
		var waiting uint32
		err := control(raw, func(fd int) error {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				waiting = info.Unacked // of a listener: the connections that are not accepted yet
			}
			return err
		})
		if err != nil || waiting == 0 {
			return err
		}
	}
	return errors.New("connections are waiting to be accepted")
}

// control calls do with the file descriptor of a socket.
func control(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); controlErr != nil {
		return controlErr
	}
	return err
}
