//go:build !linux

package main

import "os"

// beginWriting is left to the system, here.
func beginWriting(*os.File, int64, int64) {}
