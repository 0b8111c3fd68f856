package plugintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// checkValue checks the value of a keyword that contains no schemas.
func checkValue(path, name string, v any) error {
	switch name {
	case "type":
		return checkTypes(path, v)
	case "pattern":
		pattern, err := stringOf(path, v)
		if err == nil {
			err = checkPattern(path, pattern)
		}
		return err
	case "title", "description", "format", "$id", "$schema", "$comment", "contentEncoding", "contentMediaType":
		_, err := stringOf(path, v)
		return err
	case "required":
		return checkNames(path, v)
	case "dependentRequired":
		object, ok := v.(map[string]any)
		if !ok {
			return wrongValue(path, v, "an object of lists of names")
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if err := checkNames(child(path, key), object[key]); err != nil {
				return err
			}
		}
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		if n, ok := v.(float64); !ok || n < 0 || n != math.Trunc(n) {
			return wrongValue(path, v, "an integer of at least 0")
		}
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		if _, ok := v.(float64); !ok {
			return wrongValue(path, v, "a number")
		}
	case "multipleOf":
		if n, ok := v.(float64); !ok || n <= 0 {
			return wrongValue(path, v, "a number greater than 0")
		}
	case "uniqueItems", "deprecated", "readOnly", "writeOnly":
		if _, ok := v.(bool); !ok {
			return wrongValue(path, v, "a bool")
		}
	case "enum", "examples":
		if _, ok := v.([]any); !ok {
			return wrongValue(path, v, "a list")
		}
	}
	return nil
}

// schemaTypes are the values of the keyword type.
var schemaTypes = []string{"array", "boolean", "integer", "null", "number", "object", "string"}

// checkTypes checks the value of the keyword type: a type, or a list of different types.
func checkTypes(path string, v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	seen := map[any]bool{}
	for _, item := range list {
		name, ok := item.(string)
		if !ok || !slices.Contains(schemaTypes, name) || seen[name] {
			return wrongValue(path, v, "one or several of "+strings.Join(schemaTypes, ", "))
		}
		seen[name] = true
	}
	if len(list) == 0 {
		return wrongValue(path, v, "at least one type")
	}
	return nil
}

// checkNames checks a list of different strings.
func checkNames(path string, v any) error {
	list, ok := v.([]any)
	seen := map[string]bool{}
	for _, item := range list {
		name, isString := item.(string)
		ok = ok && isString && !seen[name]
		seen[name] = true
	}
	if !ok {
		return wrongValue(path, v, "a list of different names")
	}
	return nil
}

// checkPatterns checks the names of an object, which are regular expressions.
func checkPatterns(path string, v any) error {
	object, _ := v.(map[string]any)
	for _, pattern := range slices.Sorted(maps.Keys(object)) {
		if err := checkPattern(path, pattern); err != nil {
			return err
		}
	}
	return nil
}

func checkPattern(path, pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return fmt.Errorf("%s is not a regular expression that Go supports: %w", path, err)
	}
	return nil
}

func stringOf(path string, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrongValue(path, v, "a string")
	}
	return s, nil
}

// wrongValue returns the error for a value at a path of the document.
func wrongValue(path string, v any, want string) error {
	text, _ := json.Marshal(v) // cannot fail, because v is decoded JSON
	return fmt.Errorf("%s is %s, want %s", path, text, want)
}
