// Package archive reads and writes the file of a backup: a tar archive, so that common tools can open
// it. Its entries are, in this order:
//
//	plugins/…       the data of plugins in the data directory, including the content of files
//	secret.key      the secret keys, if requested
//	database.db     all tables, as an SQLite database
//	manifest.json   the Manifest, which describes all entries before it
//	sha256          the SHA-256 of every byte before it
//
// The last entry reveals any truncation or change of the file. It is not a signature: anyone who can
// write the file can also write a matching checksum.
package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"
)

// Format is the version of the format that Writer writes. A Reader rejects newer ones.
const Format = 1

// Names of entries.
const (
	Database = "database.db"
	Key      = "secret.key"
	// Plugins is the folder with the data of plugins.
	Plugins = "plugins"

	manifestName = "manifest.json"
	sumName      = "sha256"
)

// Manifest describes the content of an archive.
type Manifest struct {
	Format    int       `json:"format"`
	AgentArea string    `json:"agentarea"`
	CreatedAt time.Time `json:"created_at"`
	// From is the kind of database that was backed up: sqlite or postgres.
	From string `json:"from"`
	// Schema is the schema version of the database.
	Schema int     `json:"schema"`
	Tables []Table `json:"tables"`
	// Secrets is the number of encrypted secrets in the database. KeyIncluded means that the keys that
	// decrypt them are in the archive.
	Secrets     int  `json:"secrets"`
	KeyIncluded bool `json:"key_included"`
	// Files counts the files whose content is in the archive; Elsewhere counts the other files by backend.
	Files     Files   `json:"files"`
	Elsewhere []Files `json:"elsewhere"`
	// Missing has the ids of files whose content was missing or damaged.
	Missing []string `json:"missing"`
	Entries []Entry  `json:"entries"`
}

// Table describes a table. Sum is a checksum of its rows that does not depend on the kind of database.
type Table struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
	Sum  string `json:"sum"`
}

// Files counts files: those of Backend, or all if Backend is empty.
type Files struct {
	Backend string `json:"backend,omitempty"`
	Count   int    `json:"count"`
	Bytes   int64  `json:"bytes"`
}

// Entry is a file of the archive.
type Entry struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Unused means that the database does not refer to the entry.
	Unused bool `json:"unused,omitempty"`
}

// tailSize is the size in bytes of the last entry and the end marker of the tar.
const tailSize = 4 * 512

// tail returns the last entry and the end marker of an archive whose other bytes have the checksum sum.
func tail(sum []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := fmt.Sprintf("%x\n", sum)
	head := &tar.Header{
		Name: sumName, Mode: 0o600, Size: int64(len(text)), Format: tar.FormatUSTAR, ModTime: time.Unix(0, 0),
	}
	if err := w.WriteHeader(head); err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
