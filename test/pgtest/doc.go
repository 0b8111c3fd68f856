// Package pgtest gives tests a real PostgreSQL server: the one that URLVariable names, or one
// that the test process starts on loopback from the machine's initdb and postgres programs.
// A started server ends with the process.
package pgtest
