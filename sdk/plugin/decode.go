package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Decode decodes a config block, which is a JSON object, into the config struct that ptr points to. A
// missing value or null means the default. If there are errors, Decode does not change the struct, and
// returns an *sdk.ConfigError with a path for each of them, joined by errors.Join. Errors never contain
// values, because these may be secret.
func Decode(data []byte, ptr any) error {
	if ptr == nil {
		ptr = &struct{}{}
	}
	v := reflect.ValueOf(ptr).Elem()
	// Copy the struct, because it may have fields that are not part of the config.
	fresh := reflect.New(v.Type()).Elem()
	fresh.Set(v)
	d := &decoder{}
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	d.block(fresh, data, nil)
	if len(d.errs) > 0 {
		return errors.Join(d.errs...)
	}
	v.Set(fresh)
	return nil
}

// decoder collects the errors of a Decode.
type decoder struct{ errs []error }

func (d *decoder) fail(path []string, summary, detail string) {
	d.errs = append(d.errs, &sdk.ConfigError{Path: slices.Clone(path), Summary: summary, Detail: detail})
}

// block decodes an object into a struct. If the object is nil, the block is absent: its fields get their
// defaults, and none of them is required.
func (d *decoder) block(v reflect.Value, data json.RawMessage, path []string) {
	var object map[string]json.RawMessage
	if data != nil {
		if err := json.Unmarshal(data, &object); err != nil || object == nil {
			d.fail(path, "must be a block", "")
			return
		}
	}
	fields, err := fieldsOf(v.Type())
	if err != nil {
		d.errs = append(d.errs, err)
		return
	}
	for _, f := range fields {
		value := object[f.name]
		delete(object, f.name)
		if isNull(value) {
			value = nil
		}
		if value == nil && f.required && data != nil {
			d.fail(append(path, f.name), "is required", f.doc)
			continue
		}
		d.field(v.Field(f.index), f, value, append(path, f.name))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		d.fail(append(path, name), "is not a known attribute", "")
	}
}

func (d *decoder) field(v reflect.Value, f field, value json.RawMessage, path []string) {
	switch {
	case f.repeated:
		d.blocks(v, value, path)
	case f.inner != nil:
		d.block(v, value, path)
	default:
		if value == nil {
			value = f.defaultValue
		}
		if value == nil {
			return
		}
		if err := setAttribute(v, value); err != nil {
			d.fail(path, err.Summary, err.Detail)
		}
	}
}

func (d *decoder) blocks(v reflect.Value, data json.RawMessage, path []string) {
	if data == nil {
		return
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		d.fail(path, "must be a list of blocks", "")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, data := range list {
		d.block(all.Index(i), data, append(path, strconv.Itoa(i)))
	}
	v.Set(all)
}

// setAttribute decodes JSON into v. The error has no path.
func setAttribute(v reflect.Value, data json.RawMessage) *sdk.ConfigError {
	if v.Type() == durationType {
		return setDuration(v, data)
	}
	switch v.Kind() { //nolint:exhaustive // fieldsOf rejects other kinds
	case reflect.Int, reflect.Int64:
		return setInt(v, data)
	case reflect.Slice, reflect.Map:
		// json.Unmarshal would keep previous elements, which are not part of the config.
		v.SetZero()
	}
	if err := json.Unmarshal(data, v.Addr().Interface()); err != nil {
		return &sdk.ConfigError{Summary: "must be a " + typeName(v.Type())}
	}
	return nil
}

func setDuration(v reflect.Value, data json.RawMessage) *sdk.ConfigError {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		if dur, err := time.ParseDuration(text); err == nil {
			v.SetInt(int64(dur))
			return nil
		}
	}
	return &sdk.ConfigError{
		Summary: "is not a duration", Detail: `Write a number and its unit in quotes: "30s", "5m", "1h30m"`,
	}
}

func setInt(v reflect.Value, data json.RawMessage) *sdk.ConfigError {
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil || data[0] == '"' {
		return &sdk.ConfigError{Summary: "must be a whole number"}
	}
	// 1e3 and 5.0 are whole numbers, too.
	f, ok := new(big.Float).SetString(number.String())
	if !ok || !f.IsInt() {
		return &sdk.ConfigError{Summary: "must be a whole number"}
	}
	n, accuracy := f.Int64()
	if accuracy != big.Exact || v.OverflowInt(n) {
		return &sdk.ConfigError{
			Summary: "is out of range",
			Detail:  fmt.Sprintf("Write a whole number of at most %d bits", v.Type().Bits()),
		}
	}
	v.SetInt(n)
	return nil
}

// typeName returns the name of the type for error messages.
func typeName(t reflect.Type) string {
	switch hclType(t) {
	case "list(string)":
		return "list of strings"
	case "map(string)":
		return "map of strings"
	case "bool":
		return "bool: true or false"
	case "number":
		return "number"
	}
	return "string"
}

func isNull(data json.RawMessage) bool { return string(bytes.TrimSpace(data)) == "null" }
