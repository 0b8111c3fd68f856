package userdata

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// FileStore lists files. core.FileStore documents its method.
type FileStore interface {
	Files(ctx context.Context, actor core.Actor, f core.FileFilter) ([]*core.File, int, error)
}

// Content reads the content of files. core.Files documents its method.
type Content interface {
	Open(ctx context.Context, f *core.File) io.ReadSeekCloser
}

// filePage is the number of files in one read.
const filePage = 100

// Export writes a ZIP archive with everything that is stored about a user, without secrets: one JSON-lines file
// for each kind of object, and the contents of the user's files in the folder files. It needs little memory
// whatever the size of the archive.
func (s *Service) Export(ctx context.Context, userID string, w io.Writer) error {
	archive := zip.NewWriter(w)
	if err := s.exportRows(ctx, userID, archive); err != nil {
		return err
	}
	if err := s.exportFiles(ctx, userID, archive); err != nil {
		return err
	}
	return archive.Close()
}

func (s *Service) exportRows(ctx context.Context, userID string, archive *zip.Writer) error {
	var kind string
	var lines io.Writer
	return s.opts.Store.ExportUser(ctx, userID, func(k string, row json.RawMessage) (err error) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if k != kind {
			if lines, err = archive.Create(k + ".jsonl"); err != nil {
				return err
			}
			kind = k
		}
		if _, err := lines.Write(row); err != nil {
			return err
		}
		_, err = lines.Write([]byte("\n"))
		return err
	})
}

func (s *Service) exportFiles(ctx context.Context, userID string, archive *zip.Writer) error {
	owner := core.Actor{UserID: userID, Role: core.RoleMember}
	for offset := 0; ; offset += filePage {
		page := core.Page{Limit: filePage, Offset: offset}
		files, _, err := s.opts.FileStore.Files(ctx, owner, core.FileFilter{Page: page})
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := s.exportFile(ctx, f, archive); err != nil {
				return fmt.Errorf("export file %s: %w", f.ID, err)
			}
		}
		if len(files) < filePage {
			return nil
		}
	}
}

func (s *Service) exportFile(ctx context.Context, f *core.File, archive *zip.Writer) error {
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: entryName(f), Method: zip.Store, Modified: f.CreatedAt})
	if err != nil {
		return err
	}
	content := s.opts.Files.Open(ctx, f)
	defer func() { _ = content.Close() }() // nothing is left to read
	_, err = io.Copy(entry, content)
	return err
}

// entryName returns a unique name without path elements of the user's choice.
func entryName(f *core.File) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, f.Name)
	if strings.Trim(name, ".") == "" {
		name = "file"
	}
	return path.Join("files", f.ID, name)
}
