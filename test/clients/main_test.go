// Package clients_test runs the test suites of the API clients in examples/clients against the
// built server. Each suite is written in its client's language. It also checks that the OpenAPI document suits linters
// and generators of clients.
package clients_test

import "flag"

var update = flag.Bool("update", false, "write types.js, and go.mod and go.sum of the generated clients")
