// Package storage keeps AgentArea's nouns in a database: it implements core's
// stores on bun, one file an aggregate, named as in core.
//
// Writes go through one goroutine that takes all that wait and commits them in
// one transaction (commit.go); reads have a pool of their own. Plain queries
// are bun's. Those on the path of a turn are kept prepared (preparedstatement.go). What
// differs between databases is behind dialect (db.go), and no query knows it.
package storage
