// Package archive is the file that agentarea backup writes and agentarea restore
// reads: a tar, so that people get at what is in it with what they have.
//
//	plugins/…       what plugins keep in the data folder, the bytes of files among it
//	secret.key      the secret keys, if they were asked for
//	database.db     all tables, as an SQLite database
//	manifest.json   the Manifest: what all of the above must be
//	sha256          the SHA-256 of every byte before it
//
// The last entry tells a whole archive from one that was cut or changed: no byte
// of the file can change unnoticed. It is no signature: who may write the file may
// write that, too.
package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"
)

// Format is that of the archives that this program writes. A reader refuses newer ones.
const Format = 1

// The names of the entries that are there once.
const (
	Database = "database.db"
	Key      = "secret.key"
	// Plugins is the folder of what plugins keep.
	Plugins = "plugins"

	manifestName = "manifest.json"
	sumName      = "sha256"
)

// Manifest says what is in an archive.
type Manifest struct {
	Format    int       `json:"format"`
	AgentArea string    `json:"agentarea"`
	CreatedAt time.Time `json:"created_at"`
	// From is the kind of database that was backed up: sqlite or postgres.
	From string `json:"from"`
	// Schema is the database's.
	Schema int     `json:"schema"`
	Tables []Table `json:"tables"`
	// Secrets are how many of the database are encrypted; KeyIncluded says that the
	// keys are in the archive.
	Secrets     int  `json:"secrets"`
	KeyIncluded bool `json:"key_included"`
	// Files are those whose bytes are in the archive; Elsewhere are the others.
	Files     Files   `json:"files"`
	Elsewhere []Files `json:"elsewhere"`
	// Missing are the ids of files whose bytes were not there, or other ones.
	Missing []string `json:"missing"`
	Entries []Entry  `json:"entries"`
}

// Table counts rows. Sum is the same for the same rows in whatever database.
type Table struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
	Sum  string `json:"sum"`
}

// Files counts the files of a backend, or of all.
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
	// Unused says that nothing of the database needs it any more.
	Unused bool `json:"unused,omitempty"`
}

// tailSize is the last entry's, with the end of the tar.
const tailSize = 4 * 512

// tail is how an archive ends whose other bytes have that sum.
func tail(sum []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := fmt.Sprintf("%x\n", sum)
	head := &tar.Header{Name: sumName, Mode: 0o600, Size: int64(len(text)), Format: tar.FormatUSTAR, ModTime: time.Unix(0, 0)}
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
