// Package limit keeps clients from asking too much: so many requests a minute, and
// so many within a second, by who asks.
//
// A key's window begins with its first request and not with the clock's minute, so
// clients do not come back all at once, and when a window is over the whole limit
// is there again: X-RateLimit-Reset and Retry-After are exact. What is refused is
// not counted, so a client that keeps asking is not kept out by that.
//
//	Memory   counts in the process: one server on SQLite
//	Shared   counts where all servers do, on PostgreSQL, and in memory
//	         while that does not answer
//
// go-chi/httprate would do for the first and not for the second: it holds one lock
// for all clients while its counter is asked, and asks it twice, so replicas let
// each other's requests through between the two. README figures are in Shared.
package limit
