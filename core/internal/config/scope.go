package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxFile is the maximum size in bytes of a file that file() reads.
const maxFile = 1 << 20

// scope has the functions that expressions can call. It reads each file once, so that a restarted plugin
// gets the same config.
type scope struct {
	eval *hcl.EvalContext
	dir  string

	mu    sync.Mutex
	files map[string]string
}

func newScope(dir string) *scope {
	s := &scope{dir: dir, files: map[string]string{}}
	s.eval = &hcl.EvalContext{Functions: map[string]function.Function{
		"env": text("name", func(name string) (string, error) {
			if name == "" {
				return "", errors.New("the name of an environment variable is missing")
			}
			return os.Getenv(name), nil
		}),
		"file": text("path", s.file),
	}}
	return s
}

// text returns an HCL function that maps a string to a string.
func text(param string, f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: param, Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := f(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			return cty.StringVal(s), nil
		},
	})
}

// file returns the content of a file without its trailing newline.
func (s *scope) file(name string) (string, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, ok := s.files[path]; ok {
		return content, nil
	}
	content, err := readText(path)
	if err != nil {
		return "", err
	}
	s.files[path] = content
	return content, nil
}

func readText(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("%s is larger than 1 MiB", path)
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("%s is not UTF-8 text", path)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}
