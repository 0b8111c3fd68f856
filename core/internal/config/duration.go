package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

const day = 24 * time.Hour

// DurationMapper makes kong decode every time.Duration with ParseDuration.
func DurationMapper() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[time.Duration](),
		kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
			var text string
			if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
				return err
			}
			d, err := ParseDuration(text)
			if err != nil {
				return err
			}
			target.Set(reflect.ValueOf(d))
			return nil
		}))
}

// ParseDuration parses a duration as time.ParseDuration does. In addition, it accepts days of 24 hours before the other
// units, such as 30d and 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	invalid := fmt.Errorf("%q is not a valid duration (write a number with a unit, such as 90s, 30m, 12h or 30d)", text)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > float64(math.MaxInt64/day) {
		return 0, invalid
	}
	sum := time.Duration(n * float64(day))
	if rest == "" && found {
		return sum, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || found && strings.HasPrefix(rest, "-") || found && strings.HasPrefix(rest, "+") {
		return 0, invalid
	}
	if n < 0 {
		d = -d
	}
	if sum > 0 && d > math.MaxInt64-sum || sum < 0 && d < math.MinInt64-sum {
		return 0, invalid
	}
	return sum + d, nil
}
