package main

import (
	"context"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/sdk/files"
)

// List implements files.Backend. It holds the names of the folders between the
// root and the object that it is at.
func (b *backend) List(ctx context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		l := lister{ctx: ctx, backend: b, prefix: prefix, after: after, yield: yield}
		l.folder(objectsFolder, "")
	}
}

type lister struct {
	ctx           context.Context
	backend       *backend
	prefix, after string
	yield         func(files.Object, error) bool
}

// entry is a name in a folder: an object's key, or what the keys of a folder
// begin with, which ends in a slash. So entries sort as the keys do.
type entry struct{ key, path string }

func (e entry) isFolder() bool { return strings.HasSuffix(e.path, folderSuffix) }

// folder lists a folder, whose keys begin with base. It is false when nobody
// wants more.
func (l *lister) folder(name, base string) bool {
	entries, err := l.entries(name, base)
	if missing(err) && base != "" {
		return true // somebody tidied up
	}
	if err == nil {
		err = l.ctx.Err()
	} else {
		err = failure(l.ctx, "list", err)
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

// entries are those of a folder that may have something to give, in order.
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
			continue // not ours
		}
		e := entry{key: base + segment, path: path.Join(name, n)}
		if e.isFolder() {
			e.key += "/"
		}
		if l.wants(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries, nil
}

func (l *lister) wants(e entry) bool {
	if !e.isFolder() {
		return strings.HasPrefix(e.key, l.prefix) && e.key > l.after
	}
	below := strings.HasPrefix(e.key, l.prefix) || strings.HasPrefix(l.prefix, e.key)
	return below && (e.key > l.after || strings.HasPrefix(l.after, e.key))
}

func (l *lister) object(e entry) bool {
	info, err := l.backend.root.Lstat(e.path)
	if missing(err) || err == nil && !info.Mode().IsRegular() {
		return true
	}
	if err != nil {
		l.yield(files.Object{}, failure(l.ctx, "list", err))
		return false
	}
	return l.yield(object(e.key, info), nil)
}

// names are those in a folder, in no order.
func (b *backend) names(folder string) ([]string, error) {
	d, err := b.root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
