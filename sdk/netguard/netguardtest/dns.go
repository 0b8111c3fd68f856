// Package netguardtest has names that lead wherever a test wants.
package netguardtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Resolver answers with the IPv4 addresses that lookup has for a name; it is
// asked once a lookup. It reads the little of DNS that Go's resolver writes.
func Resolver(lookup func(name string) []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve(server, lookup)
		return client, nil
	}}
}

const typeA = 1

// serve speaks DNS with lengths, as over TCP: a pipe is no packet connection.
func serve(c net.Conn, lookup func(string) []netip.Addr) {
	defer c.Close()
	for {
		length := make([]byte, 2)
		if _, err := io.ReadFull(c, length); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length))
		if _, err := io.ReadFull(c, query); err != nil || len(query) < 12 {
			return
		}
		name, end := question(query)
		answer := append([]byte{query[0], query[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:end]...)
		if binary.BigEndian.Uint16(query[end-4:]) == typeA {
			for _, addr := range lookup(name) {
				a := addr.As4()
				answer[7]++
				// The name of the question, type A, class IN, a second, four bytes.
				answer = append(answer, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 1, 0, 4, a[0], a[1], a[2], a[3])
			}
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil { //nolint:gosec // an answer is short
			return
		}
	}
}

// question gives the name that is asked for, and where the question ends.
func question(query []byte) (name string, end int) {
	var labels []string
	at := 12
	for query[at] != 0 {
		n := int(query[at])
		labels = append(labels, string(query[at+1:at+1+n]))
		at += 1 + n
	}
	return strings.Join(labels, "."), at + 5
}
