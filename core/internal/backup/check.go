package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/storage"
)

// Contents is the result of CheckContents.
type Contents struct {
	// Problems are sentences without a full stop.
	Problems []string
	// Elsewhere has the files of backends without any content in the data directory, which are not checked.
	Elsewhere []archive.Files
}

// CheckContents compares the files of a database with the contents that the file backends keep in the data directory.
// It finds files without content or with content of another size, and content without a file. The server may run
// meanwhile.
func CheckContents(ctx context.Context, db *storage.DB, dataDir string) (*Contents, error) {
	first, err := checkContents(ctx, db, dataDir)
	if err != nil || len(first.Problems) == 0 {
		return first, err
	}
	// An upload or a deletion in progress looks like a problem, but only once.
	second, err := checkContents(ctx, db, dataDir)
	if err != nil {
		return nil, err
	}
	second.Problems = slices.DeleteFunc(second.Problems, func(p string) bool { return !slices.Contains(first.Problems, p) })
	return second, nil
}

func checkContents(ctx context.Context, db *storage.DB, dataDir string) (*Contents, error) {
	sizes, err := contentSizes(ctx, dataDir)
	if err != nil {
		return nil, err
	}
	files, err := filesOf(ctx, db)
	if err != nil {
		return nil, err
	}
	pending := map[string]bool{}
	err = db.EachPendingBlob(ctx, func(b core.Blob) error {
		pending[b.Backend+"/"+path.Base(b.Key)] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	c := &Contents{}
	for _, backend := range slices.Sorted(maps.Keys(files)) {
		if len(sizes[backend]) > 0 {
			c.compare(files[backend], sizes[backend])
			continue
		}
		elsewhere := archive.Files{Backend: backend, Count: len(files[backend])}
		for _, f := range files[backend] {
			elsewhere.Bytes += f.Size
		}
		c.Elsewhere = append(c.Elsewhere, elsewhere)
	}
	for _, backend := range slices.Sorted(maps.Keys(sizes)) {
		for _, blob := range slices.Sorted(maps.Keys(sizes[backend])) {
			if files[backend][blob] == nil && !pending[backend+"/"+blob] {
				c.Problems = append(c.Problems, fmt.Sprintf("the content %s of the file backend %q belongs to no file", blob, backend))
			}
		}
	}
	return c, nil
}

// compare compares the files of a backend with the sizes of its contents, by the names of the blobs.
func (c *Contents) compare(files map[string]*core.File, sizes map[string]int64) {
	for _, blob := range slices.Sorted(maps.Keys(files)) {
		f := files[blob]
		size, ok := sizes[blob]
		switch {
		case !ok:
			c.Problems = append(c.Problems, fmt.Sprintf("the content %s of the file %s is missing", blob, f.ID))
		case size != f.Size:
			c.Problems = append(c.Problems,
				fmt.Sprintf("the content %s of the file %s has %d bytes instead of %d", blob, f.ID, size, f.Size))
		}
	}
}

// contentSizes returns the sizes of the contents in a data directory by the backend and the name of the blob.
func contentSizes(ctx context.Context, dataDir string) (map[string]map[string]int64, error) {
	plugins, err := os.ReadDir(filepath.Join(dataDir, archive.Plugins))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sizes := map[string]map[string]int64{}
	for _, p := range plugins {
		backend, ok := strings.CutPrefix(p.Name(), "files-")
		if !ok {
			continue
		}
		sizes[backend] = map[string]int64{}
		err := walk(ctx, dataDir, p.Name(), func(name, onDisk string) error {
			blob := blobName.FindString(path.Base(name))
			if blob == "" {
				return nil
			}
			info, err := os.Stat(onDisk)
			if err == nil {
				sizes[backend][blob] = info.Size()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return sizes, nil
}
