package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/agentarea/agentarea/core/internal/config"
)

// referencePage is a page with generated parts, which are between marks.
const referencePage = "../../../docs/configuration.md"

// The reference page describes the settings and the commands as the command line accepts them.
func TestReference(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	var c commands
	parser, err := kong.New(&c, kong.Name("agentarea"))
	if err != nil {
		t.Fatal(err)
	}
	r := reference{t: t}
	want := string(data)
	for _, part := range []struct{ name, text string }{
		{"settings", r.settings(parser.Model)}, {"commands", r.commands(parser.Model)},
	} {
		begin, end := "<!-- "+part.name+": generated -->\n", "<!-- "+part.name+": end -->"
		before, rest, found := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s does not contain %q and %q", referencePage, begin, end)
		}
		want = before + begin + part.text + end + after
	}
	if *update {
		if err := os.WriteFile(referencePage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(data) {
		t.Errorf("docs/configuration.md is outdated: run make generate-docs")
	}
}

// reference generates the tables.
type reference struct{ t *testing.T }

const tableHead = "| flag | variable | default | |\n| --- | --- | --- | --- |\n"

func (r reference) settings(model *kong.Application) string {
	var b strings.Builder
	b.WriteString(tableHead)
	for _, node := range model.Leaves(true) {
		if node.Name == "serve" {
			for _, f := range node.Flags {
				r.flag(&b, f)
			}
		}
	}
	r.secrets(&b, reflect.TypeFor[config.Settings]())
	return b.String()
}

// secrets adds the settings that have only an environment variable, which kong does not know.
func (r reference) secrets(b *strings.Builder, settings reflect.Type) {
	for i := range settings.NumField() {
		f := settings.Field(i)
		variable := f.Tag.Get("env")
		switch {
		case f.Tag.Get("kong") == "-" && variable != "":
			r.row(b, "", variable, plain(f.Tag.Get("unset")), f.Tag.Get("help"), f.Tag.Get("see"))
		case f.Type.Kind() == reflect.Struct && (f.Anonymous || hasKey(f.Tag, "embed")):
			r.secrets(b, f.Type)
		}
	}
}

func hasKey(tag reflect.StructTag, key string) bool {
	_, has := tag.Lookup(key)
	return has
}

func (r reference) commands(model *kong.Application) string {
	var b strings.Builder
	for _, node := range model.Leaves(true) {
		if node.Name == "serve" {
			continue
		}
		usage := node.FullPath()
		for _, p := range node.Positional {
			usage += " " + cmp.Or(p.Tag.PlaceHolder, strings.ToUpper(p.Name))
		}
		fmt.Fprintf(&b, "**`%s`**: %s\n\n", usage, plain(node.Help))
		if len(node.Flags) == 0 {
			continue
		}
		b.WriteString(tableHead)
		for _, f := range node.Flags {
			r.flag(&b, f)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (r reference) flag(b *strings.Builder, f *kong.Flag) {
	if f.Name == "help" {
		return
	}
	name, value := "--"+f.Name, plain(f.Tag.Get("unset"))
	if f.Tag.Negatable != "" {
		name = "--[no-]" + f.Name
	}
	switch {
	case f.Default != "":
		value = "`" + f.Default + "`"
	case f.IsBool() && value == "":
		value = "`false`"
	case f.Required:
		value = "required"
	}
	r.row(b, name, strings.Join(f.Envs, "`, `"), value, f.Help, f.Tag.Get("see"))
}

func (r reference) row(b *strings.Builder, flag, variable, value, help, see string) {
	r.t.Helper()
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	name := cmp.Or(flag, variable)
	if help == "" {
		r.t.Errorf("%s: missing help", name)
	}
	text := plain(help)
	if see != "" {
		if _, err := os.Stat(filepath.Join(filepath.Dir(referencePage), see)); err != nil {
			r.t.Errorf("%s: %v", name, err)
		}
		text += fmt.Sprintf(" ([%s](%s))", strings.TrimSuffix(see, ".md"), see)
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s |\n", code(flag), code(variable), cmp.Or(value, "none"), text)
}

// plain escapes a text for a Markdown table.
func plain(s string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`, "_", `\_`).Replace(s)
}
