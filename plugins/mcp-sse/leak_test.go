package main

import (
	"testing"

	"go.uber.org/goleak"
)

// Connections leave nothing behind, however they end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
