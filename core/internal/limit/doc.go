// Package limit limits the rate of requests: per minute and per second, for each user or address.
//
// The window of a key starts with its first request and not with the minute of the clock, so clients do
// not return all at the same time. When the window ends, the whole limit is available again, so
// X-RateLimit-Reset and Retry-After are exact. Rejected requests are not counted, so a client that keeps
// retrying is not locked out.
//
//	Memory   counts in the process, for a single server on SQLite
//	Shared   counts in PostgreSQL for all servers, and in memory while the database does not answer
//
// The package does not use go-chi/httprate, which holds one lock for all clients during two calls of its
// counter, to read and to increment. So a slow counter blocks every client, and replicas exceed the limit
// between the two calls. With 16 clients, two replicas and one PostgreSQL it reached 1,000 requests per
// second instead of 4,100, and allowed 101 of 100 requests.
package limit
