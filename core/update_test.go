package core

import (
	"errors"
	"testing"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	interfered := &Error{Code: CodePreconditionFailed, Message: "changed"}
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		read, change error
		// writes are the results of the first writes. The others succeed.
		writes    []error
		wantReads int
		want      error
	}{
		"stored immediately":             {wantReads: 1},
		"stored at the second try":       {writes: []error{interfered}, wantReads: 2},
		"stored at the last try":         {writes: []error{interfered, interfered, interfered, interfered}, wantReads: 5},
		"interfered too often":           {writes: []error{interfered, interfered, interfered, interfered, interfered}, wantReads: 5, want: interfered},
		"another write error":            {writes: []error{failed}, wantReads: 1, want: failed},
		"read error":                     {read: failed, wantReads: 1, want: failed},
		"change error":                   {change: failed, wantReads: 1, want: failed},
		"PreconditionFailed from change": {change: interfered, wantReads: 1, want: interfered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reads, stored := 0, 0
			got, err := Update(
				func() (*int, error) {
					reads++
					return new(10 * reads), c.read
				},
				func(n *int) error {
					*n++
					return c.change
				},
				func(n *int) error {
					if reads <= len(c.writes) {
						return c.writes[reads-1]
					}
					stored = *n
					return nil
				},
			)
			if !errors.Is(err, c.want) || reads != c.wantReads {
				t.Fatalf("Update() = %v after %d reads, want %v after %d", err, reads, c.want, c.wantReads)
			}
			if want := 10*reads + 1; err == nil && (*got != want || stored != want) {
				t.Errorf("Update() = %d, and stored %d, want %d", *got, stored, want)
			}
		})
	}
}
