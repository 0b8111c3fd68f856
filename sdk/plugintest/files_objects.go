package plugintest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

func (s *checks) roundTrip(t *testing.T) {
	began := time.Now()
	for i, n := range []int{0, 1, 1<<20 + 1} {
		for _, known := range []bool{true, false} {
			key := s.key(t, fmt.Sprintf("%d-%t", n, known))
			data := noise(byte(i), n)
			o := files.PutOptions{Size: -1}
			if known {
				o = files.PutOptions{Size: int64(n), ContentType: "text/plain; charset=utf-8"}
			}
			stored, err := s.client.Put(t.Context(), key, bytes.NewReader(data), o)
			if err != nil {
				t.Fatalf("Put of %d bytes: %v", n, err)
			}
			if stored.Size != int64(n) || stored.SHA256 != sha256.Sum256(data) {
				t.Errorf("Put of %d bytes = %d bytes with the SHA-256 %x, want all bytes and their SHA-256",
					n, stored.Size, stored.SHA256)
			}
			s.checkObject(t, key, data)
			object, err := s.client.Stat(t.Context(), key)
			// The clock of a service may differ.
			if err == nil &&
				(object.Modified.Before(began.Add(-time.Hour)) || object.Modified.After(time.Now().Add(time.Hour))) {
				t.Errorf("Stat = modified at %v, want about %v", object.Modified, time.Now())
			}
		}
	}
}

func (s *checks) notFound(t *testing.T) {
	s.checkAbsent(t, s.key(t, "nothing"))
	s.put(t, s.key(t, "a/b"), []byte("b"))
	// A prefix of a key is not an object.
	s.checkAbsent(t, s.key(t, "a"))
	s.checkAbsent(t, s.key(t, "a/"))
	s.checkAbsent(t, s.key(t, "a/b/c"))
}

func (s *checks) delete(t *testing.T) {
	key, other := s.key(t, "gone"), s.key(t, "gone-not")
	s.put(t, key, []byte("x"))
	s.put(t, other, []byte("y"))
	for range 2 {
		if err := s.client.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete: %v", err)
		}
		s.checkAbsent(t, key)
	}
	s.checkObject(t, other, []byte("y"))
	s.put(t, key, []byte("again"))
	s.checkObject(t, key, []byte("again"))
}

func (s *checks) ranges(t *testing.T) {
	const n = 3<<20 + 17
	key, data := s.key(t, "k"), noise(9, n)
	s.put(t, key, data)
	empty := s.key(t, "empty")
	s.put(t, empty, nil)
	for _, tt := range []struct {
		name           string
		key            string
		offset, length int64
		want           []byte
	}{
		{"the start", key, 0, 10, data[:10]},
		{"the middle", key, 1<<20 - 1, 1<<20 + 2, data[1<<20-1 : 2<<20+1]},
		{"a byte", key, 12345, 1, data[12345:12346]},
		{"all but the start", key, 1, 0, data[1:]},
		{"the last byte", key, n - 1, 1, data[n-1:]},
		{"up to the end", key, n - 100, 100, data[n-100:]},
		{"a length past the end", key, n - 100, 1 << 30, data[n-100:]},
		{"an offset at the end", key, n, 0, nil},
		{"an offset at the end with a length", key, n, 10, nil},
		{"an offset past the end", key, n + 1000, 10, nil},
		{"the start of an empty one", empty, 0, 10, nil},
		{"past the end of an empty one", empty, 5, 0, nil},
	} {
		got, err := s.get(t.Context(), tt.key, tt.offset, tt.length)
		if err != nil {
			t.Errorf("Get of %s: %v", tt.name, err)
		} else if !bytes.Equal(got, tt.want) {
			t.Errorf("Get of %s returned %d bytes, want the %d bytes of the range", tt.name, len(got), len(tt.want))
		}
	}
	for _, r := range [][2]int64{{-1, 0}, {0, -1}} {
		if _, err := s.get(t.Context(), key, r[0], r[1]); codeOf(err) != sdk.CodeInvalidRequest {
			t.Errorf("Get with offset %d and length %d: error %v, want %s", r[0], r[1], err, sdk.CodeInvalidRequest)
		}
	}
}

// overwrite checks that a Get during a Put returns either the old or the new object completely.
func (s *checks) overwrite(t *testing.T) {
	key := s.key(t, "k")
	versions := [][]byte{noise(1, 5<<20), noise(2, 4<<20)}
	s.put(t, key, versions[0])
	isComplete := func(got []byte) bool { return bytes.Equal(got, versions[0]) || bytes.Equal(got, versions[1]) }

	under, err := s.client.Get(t.Context(), key, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer under.Close()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(under, head); err != nil {
		t.Fatal(err)
	}
	s.put(t, key, versions[1])
	s.checkObject(t, key, versions[1])
	rest, err := io.ReadAll(under)
	if err != nil || !isComplete(append(head, rest...)) {
		t.Errorf("a Get during a Put returned %d bytes that are neither the old nor the new object: %v",
			len(head)+len(rest), err)
	}

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got, err := s.get(t.Context(), key, 0, 0); err != nil || !isComplete(got) {
					t.Errorf("a Get during concurrent Puts returned %d bytes that are neither the old nor the new object: %v",
						len(got), err)
					return
				}
			}
		})
	}
	for i := range 8 {
		s.put(t, key, versions[i%2])
	}
	close(done)
	readers.Wait()
}
