package config

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes. Its text form has decimal or binary units: 500MB, 2GiB.
type Size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a valid size (write 500MB, 2GiB or a number of bytes)", text)
	}
	*s = Size(n)
	return nil
}
