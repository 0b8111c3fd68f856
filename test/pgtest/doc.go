// Package pgtest gives tests a real PostgreSQL: the server that URLVariable names,
// or else one of the test process's own, from the machine's initdb and postgres,
// on loopback, that ends with the process.
package pgtest
