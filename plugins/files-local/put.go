package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// Put implements files.Backend.
//
// The part is on the disk before it gets the object's name, and the name before
// Put returns. Delete removes parts first and then the object, so that a Put of the key
// has either moved its part before, and the object goes, or has none to move.
func (b *backend) Put(ctx context.Context, key string, r io.Reader, _ files.PutOptions) (*files.Stored, error) {
	part := partsFolder + "/" + partPrefix(key) + strings.ToLower(rand.Text())
	w := &writer{sum: sha256.New()}
	var err error
	if w.file, err = b.root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
		return nil, failure(ctx, "put", err)
	}
	n, err := io.Copy(w, r)
	if err != nil && w.err == nil {
		w.file.Close()
		b.discard(ctx, part)
		return nil, err // r's own
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err := errors.Join(err, w.file.Close()); err != nil {
		b.discard(ctx, part)
		return nil, failure(ctx, "put", err)
	}
	if err := b.publish(ctx, part, objectPath(key)); err != nil {
		b.discard(ctx, part)
		return nil, err
	}
	return &files.Stored{Size: n, SHA256: [sha256.Size]byte(w.sum.Sum(nil))}, nil
}

// partPrefix begins the names of a key's parts.
func partPrefix(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16]) + "-"
}

// publish gives a part the name of an object.
func (b *backend) publish(ctx context.Context, part, object string) error {
	_, err := b.root.Lstat(object)
	fresh := missing(err)
	if err := b.move(part, object); err != nil {
		if _, statErr := b.root.Lstat(part); missing(statErr) {
			return &sdk.Error{Code: sdk.CodeCancelled, Message: "the key was deleted while it was put"}
		}
		return failure(ctx, "put", err)
	}
	if err := b.folders.sync(folderOf(object)); err != nil {
		if fresh {
			b.discard(ctx, object) // a Put that fails leaves nothing
		}
		return failure(ctx, "put", err)
	}
	return nil
}

func (b *backend) move(part, object string) error {
	if err := b.folders.make(folderOf(object)); err != nil {
		return err
	}
	err := b.root.Rename(part, object)
	if missing(err) {
		// Somebody tidied up empty folders; or it is the part that is gone.
		b.folders.forget()
		if err := b.folders.make(folderOf(object)); err != nil {
			return err
		}
		err = b.root.Rename(part, object)
	}
	return err
}

// discard removes what is left of a Put that failed. If it can't, the key's
// Delete does.
func (b *backend) discard(ctx context.Context, name string) {
	if err := b.root.Remove(name); err != nil && !missing(err) {
		_ = failure(ctx, "remove a part", err) // for the log
	}
}

// Delete implements files.Backend.
func (b *backend) Delete(ctx context.Context, key string) error {
	if err := b.deleteParts(key); err != nil {
		return failure(ctx, "delete", err)
	}
	object := objectPath(key)
	if err := b.root.Remove(object); err != nil && !missing(err) {
		return failure(ctx, "delete", err)
	}
	// Even if the object was not there: a Delete that failed here may have removed it.
	if err := b.folders.sync(folderOf(object)); err != nil && !missing(err) {
		return failure(ctx, "delete", err)
	}
	return nil
}

func (b *backend) deleteParts(key string) error {
	names, err := b.names(partsFolder)
	if err != nil {
		return err
	}
	removed := false
	for _, name := range names {
		if !strings.HasPrefix(name, partPrefix(key)) {
			continue
		}
		if err := b.root.Remove(path.Join(partsFolder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return b.folders.sync(partsFolder)
}
