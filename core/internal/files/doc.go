// Package files transfers the bytes of files between callers and file backends, and keeps the rows
// of the database consistent with the bytes in the backends.
//
// The bytes of a file are a blob, which is a key in a backend. A key is used once. At any time,
// also after a crash, each blob belongs to the row of a file or of a pending blob:
//
//	           reserve                  CreateFile, MoveFile
//	(nothing) ────────▶ pending blob ────────────────────────▶ file
//	    ▲                  │ not used in time                    │
//	    │                  ▼                                     │ DeleteFile,
//	    │   bytes       claimed ◀────────────────────────────────┘ MoveFile
//	    └──deleted─────  pending blob
//	                      │  ▲
//	                      └──┘ the backend failed: retry later
//
// A blob is reserved before its first byte is written, and the reservation is renewed during the
// upload. When the bytes are stored and their checksum is verified, one transaction creates the
// file's row and removes the pending blob. A file is therefore either complete or absent.
//
// The sweeper claims pending blobs that are due, and deletes their bytes. A file cannot take a
// claimed blob, so the bytes of a claimed blob can be deleted at any time.
package files
