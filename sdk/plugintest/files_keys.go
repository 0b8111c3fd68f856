package plugintest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// oddKeys checks keys that a file system, a URL or a careless path join could confuse.
func (s *checks) oddKeys(t *testing.T) {
	folder := s.folder(t)
	var want []string
	for _, name := range []string{
		"a", "A", "a/b", "a/B", "a/b/c", "a.d", "a.f", "a/../b", "b", "a//b", "a/", "a/./b", "/a",
		".", "..", "...", ".hidden", "../b", "~", "-", "con", "NUL.txt", "a:b", `a\b`, "a*?", "a<>|",
		"a b", " a", "a ", "a+b", "%", "%2F", "%2f", "a%00b", "a&b=c", "a?b#c", `"quoted"`, "a'b",
		"caf\u00e9", "cafe\u0301", "файл", "文件.txt", "🗄", "\u202eabc", "\ufeffa", "\u2028",
		"a\tb", "a\nb", "a\r\nb", "\x01", "\x7f",
	} {
		want = append(want, s.use(folder+name))
	}
	want = append(want, s.use(longest(folder)))
	for _, key := range want {
		s.put(t, key, []byte(key))
	}
	for _, key := range want {
		s.checkObject(t, key, []byte(key))
	}
	slices.Sort(want)
	if got := s.keys(t, folder, ""); !slices.Equal(got, want) {
		t.Errorf("List =\n%q\nwant\n%q", got, want)
	}
	// Delete must remove one object only.
	for _, name := range []string{"a", "..", "%2F"} {
		if err := s.client.Delete(t.Context(), folder+name); err != nil {
			t.Errorf("Delete(%q): %v", folder+name, err)
		}
		want = slices.DeleteFunc(want, func(key string) bool { return key == folder+name })
	}
	if got := s.keys(t, folder, ""); !slices.Equal(got, want) {
		t.Errorf("List after a Delete =\n%q\nwant\n%q", got, want)
	}
}

// longest returns a key of 255 bytes with segments of the maximum length.
func longest(folder string) string {
	key := folder
	for len(key) < 255 {
		key += strings.Repeat("Ж", min(40, (255-len(key))/2))
		if len(key) < 255 {
			key += "/"
		}
	}
	return key
}

// keysAboveTheRoot checks keys that, as paths, would be outside of the backend's folder.
func (s *checks) keysAboveTheRoot(t *testing.T) {
	var keys []string
	for _, up := range []string{"../", "../../", "/", "//", "./", "a/../../"} {
		keys = append(keys, s.use(up+s.prefix+"-above"))
	}
	for _, key := range keys {
		s.put(t, key, []byte(key))
	}
	for _, key := range keys {
		s.checkObject(t, key, []byte(key))
		if got := s.keys(t, key, ""); !slices.Equal(got, []string{key}) {
			t.Errorf("List(%q) = %q, want only this key", key, got)
		}
	}
}

func (s *checks) badKeys(t *testing.T) {
	long := s.prefix + "/" + strings.Repeat(strings.Repeat("x", 60)+"/", 3)
	for name, key := range map[string]string{
		"an empty key":             "",
		"a NUL":                    s.prefix + "/a\x00b",
		"256 bytes":                long + strings.Repeat("x", 256-len(long)),
		"81 bytes between slashes": s.prefix + "/" + strings.Repeat("x", 81) + "/a",
	} {
		ctx := t.Context()
		_, stat := s.client.Stat(ctx, key)
		_, get := s.get(ctx, key, 0, 0)
		_, put := s.client.Put(ctx, key, strings.NewReader("x"), files.PutOptions{Size: 1})
		for method, err := range map[string]error{"Stat": stat, "Get": get, "Put": put, "Delete": s.client.Delete(ctx, key)} {
			if codeOf(err) != sdk.CodeInvalidRequest {
				t.Errorf("%s of a key with %s: error %v, want %s", method, name, err, sdk.CodeInvalidRequest)
			}
		}
	}
}

// list checks List with more objects than a page of the usual services has, which is 1,000.
func (s *checks) list(t *testing.T) {
	const n = 1005
	folder := s.folder(t)
	var want []string
	for i := range n {
		// Keys in a folder may sort before or after siblings of the folder with a dot or a dash.
		name := []string{"k%04d", "k/%04d", "k-%04d", "k0/%04d/x", "É%04d"}[i%5]
		want = append(want, s.key(t, fmt.Sprintf(name, i)))
	}
	s.inParallel(n, func(i int) { s.put(t, want[i], []byte(want[i])) })
	slices.Sort(want)

	var got []string
	for o, err := range s.client.List(t.Context(), folder, "") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		got = append(got, o.Key)
		if o.Size != int64(len(o.Key)) || o.Modified.IsZero() {
			t.Errorf("List(%q) = %d bytes, modified at %v, want the size of the object and a time", o.Key, o.Size, o.Modified)
		}
	}
	checkKeys(t, "List", got, want)
	checkKeys(t, "a list in pages", s.pages(t, folder, 200), want)
	for _, tt := range [][2]string{
		{folder + "k/", ""},
		{folder + "k", folder + "k/0"},
		{folder + "k", folder + "k/"},
		{folder + "k", folder + "k-9"},
		{folder, folder + "k.nothing"},
		{folder + "k0/", folder + "k0/1"},
		{folder + "k0/0003/x", ""},
		{folder + "k0/0003/x", folder + "k0/0003/x"},
		{folder + "k/", folder + "a"},
		{folder + "k/", folder + "z"},
		{folder + "É", folder + "k"},
		{folder + "nothing", ""},
		{folder[:len(folder)-1], want[n-1]},
	} {
		var some []string
		for _, key := range want {
			if strings.HasPrefix(key, tt[0]) && key > tt[1] {
				some = append(some, key)
			}
		}
		checkKeys(t, fmt.Sprintf("List(%q, %q)", tt[0], tt[1]), s.keys(t, tt[0], tt[1]), some)
	}
}

// checkKeys checks the keys that a list returned.
func checkKeys(t *testing.T, list string, got, want []string) {
	t.Helper()
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	if at < max(len(got), len(want)) {
		t.Errorf("%s returned %d keys, want %d in the order of their bytes; from key %d on: got %.300q, want %.300q",
			list, len(got), len(want), at+1, got[at:min(at+3, len(got))], want[at:min(at+3, len(want))])
	}
}

// pages lists the keys in pages of the given size. Each page starts after the last key of the previous one.
func (s *checks) pages(t *testing.T, prefix string, size int) []string {
	t.Helper()
	var all []string
	after := ""
	for range 20 {
		n := 0
		for o, err := range s.client.List(t.Context(), prefix, after) {
			if err != nil {
				t.Fatalf("List(%q, %q): %v", prefix, after, err)
			}
			all = append(all, o.Key)
			if n++; n == size {
				break
			}
		}
		if n == 0 {
			return all
		}
		after = all[len(all)-1]
	}
	t.Fatal("List after the last key is not empty")
	return nil
}
