// Package pgtest provides a real PostgreSQL server for tests: the one that URLVariable names, or one
// that the test process starts on loopback from the machine's initdb and postgres programs.
// A started server ends with the process.
package pgtest
