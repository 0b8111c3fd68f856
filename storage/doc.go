// Package storage implements core's stores on bun for SQLite and PostgreSQL. Each aggregate has one
// file, with the same name as in core.
//
// One goroutine executes all writes: it takes all waiting writes and commits them in one transaction
// (commit.go). Reads use a separate connection pool. Statements on the path of a chat turn are
// prepared once per connection (preparedstatement.go); bun formats the others. The interface
// dialect (db.go) hides the differences between the databases.
package storage
