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
// It syncs the part to the disk before renaming it, and the folder before it returns.
// Delete removes the parts of a key before its object. A concurrent Put has therefore
// either renamed its part already, and Delete removes the object, or finds its part gone
// and fails.
func (b *backend) Put(ctx context.Context, key string, r io.Reader, _ files.PutOptions) (*files.Stored, error) {
	part := partsFolder + "/" + partPrefix(key) + strings.ToLower(rand.Text())
	w := &partWriter{sum: sha256.New()}
	var err error
	if w.file, err = b.root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
		return nil, publicError(ctx, "put", err)
	}
	n, err := io.Copy(w, r)
	if err != nil && w.err == nil {
		w.file.Close()
		b.discard(ctx, part)
		return nil, err // an error of r is not an error of the disk
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err := errors.Join(err, w.file.Close()); err != nil {
		b.discard(ctx, part)
		return nil, publicError(ctx, "put", err)
	}
	if err := b.publish(ctx, part, objectPath(key)); err != nil {
		b.discard(ctx, part)
		return nil, err
	}
	return &files.Stored{Size: n, SHA256: [sha256.Size]byte(w.sum.Sum(nil))}, nil
}

// partPrefix returns the common prefix of the names of a key's parts.
func partPrefix(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16]) + "-"
}

// publish renames a part to an object's path.
func (b *backend) publish(ctx context.Context, part, object string) error {
	_, err := b.root.Lstat(object)
	isNew := isNotExist(err)
	if err := b.move(part, object); err != nil {
		if _, statErr := b.root.Lstat(part); isNotExist(statErr) {
			return &sdk.Error{Code: sdk.CodeCancelled, Message: "the file was deleted during its upload"}
		}
		return publicError(ctx, "put", err)
	}
	if err := b.folders.sync(folderOf(object)); err != nil {
		if isNew {
			b.discard(ctx, object) // a failed Put leaves no object
		}
		return publicError(ctx, "put", err)
	}
	return nil
}

// move renames a part, and creates the object's folder when it does not exist.
func (b *backend) move(part, object string) error {
	if err := b.folders.make(folderOf(object)); err != nil {
		return err
	}
	err := b.root.Rename(part, object)
	if isNotExist(err) {
		// Somebody removed the empty folder, or Delete removed the part.
		b.folders.forget()
		if err := b.folders.make(folderOf(object)); err != nil {
			return err
		}
		err = b.root.Rename(part, object)
	}
	return err
}

// discard removes a file of a failed Put. If that fails, a Delete of the key removes it.
func (b *backend) discard(ctx context.Context, name string) {
	if err := b.root.Remove(name); err != nil && !isNotExist(err) {
		_ = publicError(ctx, "remove a part", err) // only to log it
	}
}

// Delete implements files.Backend.
func (b *backend) Delete(ctx context.Context, key string) error {
	if err := b.deleteParts(key); err != nil {
		return publicError(ctx, "delete", err)
	}
	object := objectPath(key)
	if err := b.root.Remove(object); err != nil && !isNotExist(err) {
		return publicError(ctx, "delete", err)
	}
	// Sync even if the object did not exist: an earlier Delete may have removed it and then failed here.
	if err := b.folders.sync(folderOf(object)); err != nil && !isNotExist(err) {
		return publicError(ctx, "delete", err)
	}
	return nil
}

// deleteParts removes the parts of a key.
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
