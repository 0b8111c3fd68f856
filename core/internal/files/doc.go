// Package files is the engine room of files: it carries bytes between callers
// and backends, and keeps the rows of the database and the bytes of the backends
// in step.
//
// The bytes of a file are a blob: a key in a backend, used once. Every blob is
// named by a file's row or by a pending blob's, whatever crashes and whenever:
//
//	           reserve                  CreateFile, MoveFile
//	(nothing) ────────▶ pending blob ─────────────────────────────▶ file
//	    ▲                  │ nobody took it in time              │
//	    │                  ▼                                     │ DeleteFile,
//	    │   bytes       claimed ◀────────────────────────────────┘ MoveFile
//	    └──deleted─────  pending blob
//	                      │  ▲
//	                      └──┘ the backend refused: again later
//
// A blob is reserved before its first byte is written, and renewed while it is.
// The file's row takes it in the transaction that makes the file, once the bytes
// are safe and their checksum is right. So a file is whole, or not there.
//
// The sweeper claims what is due and deletes its bytes. No file can take a
// claimed pending blob, so what was claimed may be deleted by anybody at any time.
package files
