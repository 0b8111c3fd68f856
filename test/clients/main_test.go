// Package clients_test runs the test suites of the API clients in examples/clients against the
// built server. Each suite is written in its client's language.
package clients_test

import "flag"

var update = flag.Bool("update", false, "write types.js from the OpenAPI document")
