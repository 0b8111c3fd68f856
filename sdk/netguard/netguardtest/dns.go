// Package netguardtest provides a DNS resolver for tests.
package netguardtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Resolver returns a resolver that resolves names to the IPv4 addresses that lookup returns. It calls
// lookup once per resolution. It supports only the DNS queries that Go's resolver sends.
func Resolver(lookup func(name string) []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve(server, lookup)
		return client, nil
	}}
}

const typeA = 1

// serve answers DNS queries with length prefixes, as over TCP, because a pipe is not a packet connection.
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
				// The fields are: name of the question, type A, class IN, TTL 1 s, 4 bytes.
				answer = append(answer, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 1, 0, 4, a[0], a[1], a[2], a[3])
			}
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil { //nolint:gosec // an answer is short
			return
		}
	}
}

// question returns the name in a query and the offset of the end of its question.
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
