//go:build !linux

package main

import "os"

// ownProgram returns the path of the running program.
func ownProgram() (string, error) { return os.Executable() }
