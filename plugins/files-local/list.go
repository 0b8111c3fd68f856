package main

import (
	"context"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/sdk/files"
)

// List implements files.Backend. It keeps in memory only the names of the folders from the
// root to the current object.
func (b *backend) List(ctx context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		l := lister{ctx: ctx, backend: b, prefix: prefix, after: after, yield: yield}
		l.folder(objectsFolder, "")
	}
}

// lister is the state of one List.
type lister struct {
	ctx           context.Context
	backend       *backend
	prefix, after string
	yield         func(files.Object, error) bool
}

// entry is a name in a folder. Its key is an object's key, or, for a folder, the common
// prefix of the folder's keys, which ends in a slash. Entries therefore sort in the order
// of the keys.
type entry struct{ key, path string }

func (e entry) isFolder() bool { return strings.HasSuffix(e.path, folderSuffix) }

// folder lists a folder whose keys start with base. It returns false when the caller wants
// no more objects.
func (l *lister) folder(name, base string) bool {
	entries, err := l.entries(name, base)
	if isNotExist(err) && base != "" {
		return true // somebody removed the folder
	}
	if err == nil {
		err = l.ctx.Err()
	} else {
		err = publicError(l.ctx, "list", err)
	}
	if err != nil {
		l.yield(files.Object{}, err)
		return false
	}
	for _, e := range entries {
		if e.isFolder() {
			if !l.folder(e.path, e.key) {
				return false
			}
		} else if !l.object(e) {
			return false
		}
	}
	return true
}

// entries returns, in order, the entries of a folder that may match the listing.
func (l *lister) entries(name, base string) ([]entry, error) {
	names, err := l.backend.names(name)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(names))
	for _, n := range names {
		stem, isObject := strings.CutSuffix(n, objectSuffix)
		if !isObject {
			stem = strings.TrimSuffix(n, folderSuffix)
		}
		segment, ok := unescape(stem)
		if !ok || stem == n {
			continue // not written by this plugin
		}
		e := entry{key: base + segment, path: path.Join(name, n)}
		if e.isFolder() {
			e.key += "/"
		}
		if l.matches(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries, nil
}

// matches reports whether the object is part of the listing, or the folder may hold such
// objects.
func (l *lister) matches(e entry) bool {
	if !e.isFolder() {
		return strings.HasPrefix(e.key, l.prefix) && e.key > l.after
	}
	below := strings.HasPrefix(e.key, l.prefix) || strings.HasPrefix(l.prefix, e.key)
	return below && (e.key > l.after || strings.HasPrefix(l.after, e.key))
}

// object yields an object. It returns false when the caller wants no more objects.
func (l *lister) object(e entry) bool {
	info, err := l.backend.root.Lstat(e.path)
	if isNotExist(err) || err == nil && !info.Mode().IsRegular() {
		return true
	}
	if err != nil {
		l.yield(files.Object{}, publicError(l.ctx, "list", err))
		return false
	}
	return l.yield(object(e.key, info), nil)
}

// names returns the names in a folder, in no particular order.
func (b *backend) names(folder string) ([]string, error) {
	d, err := b.root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
