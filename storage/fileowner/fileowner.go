// Package fileowner gives new files the owner of their folder. Administrators run commands with sudo on the data
// folder of a service, whose user must be able to read and replace the files that the commands create.
package fileowner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Inherit gives a file that this process has just created the owner and group of the folder that contains it. It does
// nothing unless the process is root. The file must not be a hard link that another user can have made.
func Inherit(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(file.Name()))
	if err != nil {
		return err
	}
	return Copy(info, file)
}

// Copy gives a file the owner and group of another file or folder. It does nothing unless the process is root.
func Copy(of fs.FileInfo, file *os.File) error {
	uid, gid, ok := owner(of)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return file.Chown(uid, gid)
}

// Same reports whether two files have the same owner. It returns true if the system has no owners.
func Same(a, b fs.FileInfo) bool {
	ofA, _, okA := owner(a)
	ofB, _, okB := owner(b)
	return !okA || !okB || ofA == ofB
}

// InheritTree gives a folder that this process has just created, and everything in it, the owner and group of the
// folder that contains it. It does nothing unless the process is root. No other user may be able to write to the tree.
// The owner of the containing folder can replace the tree, for example by a symbolic link. InheritTree changes nothing
// outside of the containing folder then.
func InheritTree(root string) (err error) {
	if os.Geteuid() != 0 {
		return nil
	}
	folder, err := os.OpenRoot(filepath.Dir(root))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	info, err := folder.Stat(".")
	if err != nil {
		return err
	}
	uid, gid, ok := owner(info)
	if !ok {
		return nil
	}
	var below []string // the root comes last, so that its new owner cannot interfere
	err = fs.WalkDir(folder.FS(), filepath.Base(root), func(path string, _ fs.DirEntry, err error) error {
		below = append(below, path)
		return err
	})
	for i := len(below) - 1; i >= 0 && err == nil; i-- {
		err = folder.Lchown(below[i], uid, gid)
	}
	return err
}

// Create creates a file that only its owner can read, and gives it the owner of its folder. It fails with fs.ErrExist
// if the file exists.
func Create(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := Inherit(file); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return file, nil
}

// Foreign returns the id of the user who owns a folder if this process is root and the user is not.
func Foreign(folder string) (uid int, foreign bool) {
	info, err := os.Stat(folder)
	if err != nil || os.Geteuid() != 0 {
		return 0, false
	}
	uid, _, ok := owner(info)
	return uid, ok && uid != 0
}
