package plugintest

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/agentarea/agentarea/sdk"
)

// blockName matches the names of attributes and blocks in HCL.
var blockName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// newValues returns a pointer to a value of each type that an attribute can have.
var newValues = map[string]func() any{
	"string": func() any { return new(string) }, "number": func() any { return new(float64) },
	"bool": func() any { return new(bool) }, "list(string)": func() any { return new([]string) },
	"map(string)": func() any { return new(map[string]string) }, "any": func() any { return new(any) },
}

// checkBlock returns why the server cannot use the schema of a config block, or nil.
func checkBlock(path string, b sdk.Block) error {
	names := map[string]bool{}
	check := func(name string) error {
		if !blockName.MatchString(name) || names[name] {
			return fmt.Errorf("%s contains the name %q, want different names of letters, digits, _ and -", path, name)
		}
		names[name] = true
		return nil
	}
	for _, a := range b.Attributes {
		if err := check(a.Name); err != nil {
			return err
		}
		if err := checkAttribute(path+"."+a.Name, a); err != nil {
			return err
		}
	}
	for _, n := range b.Blocks {
		if err := check(n.Name); err != nil {
			return err
		}
		if n.Max != 0 && n.Min > n.Max {
			return fmt.Errorf("the block %s.%s has at least %d and at most %d items", path, n.Name, n.Min, n.Max)
		}
		if err := checkBlock(path+"."+n.Name, n.Block); err != nil {
			return err
		}
	}
	return nil
}

func checkAttribute(path string, a sdk.Attribute) error {
	newValue, ok := newValues[a.Type]
	if !ok {
		return fmt.Errorf("the attribute %s has the type %q, want string, number, bool, list(string), map(string) or any",
			path, a.Type)
	}
	if a.Default == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(a.Default), newValue()); err != nil {
		return fmt.Errorf("the attribute %s of the type %s has the default %s: %w", path, a.Type, a.Default, err)
	}
	return nil
}
