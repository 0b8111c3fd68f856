package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/testenv"
)

// codeBlock is a code block of a page. Its info string says whether a test runs it: "sh runnable", or "sh runnable
// slow" for make test-slow only.
type codeBlock struct {
	line, end      int // the lines of its fences
	language       string
	runnable, slow bool
	code           string
	// reply is the JSON block that directly follows: an example of the last line of the output.
	reply string
}

var fence = regexp.MustCompile("^( *)```([a-z]*)( runnable)?( slow)?$")

// codeBlocks returns the code blocks of a page.
func codeBlocks(t *testing.T, page string) (blocks []codeBlock) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout(t), page))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		open := fence.FindStringSubmatch(lines[i])
		if open == nil {
			if strings.Contains(lines[i], "```") {
				t.Errorf("%s:%d: unknown code fence %q", page, i+1, lines[i])
			}
			continue
		}
		b := codeBlock{line: i + 1, language: open[2], runnable: open[3] != "", slow: open[4] != ""}
		var code []string
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
			code = append(code, strings.TrimPrefix(lines[i], open[1]))
		}
		b.code = strings.Join(code, "\n") + "\n"
		if n := len(blocks); b.language == "json" && n > 0 && blocks[n-1].end+1 == b.line {
			blocks[n-1].reply = b.code
		}
		b.end = i + 1
		blocks = append(blocks, b)
	}
	return blocks
}

func checkout(t *testing.T) string {
	t.Helper()
	root, err := testenv.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// pages returns the pages of the documentation.
func pages(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob(filepath.Join(checkout(t), "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range docs {
		docs[i] = filepath.Join("docs", filepath.Base(path))
	}
	others := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "examples/clients/README.md"}
	return append(others, docs...)
}

// story is the runnable blocks of one language of a page, which run in order as one program.
type story struct {
	page, language string
	blocks         []codeBlock
}

// stories returns the stories of all pages. Without slow blocks, they have only the others.
func stories(t *testing.T, slow bool) (all []story) {
	t.Helper()
	for _, page := range pages(t) {
		byLanguage := map[string][]codeBlock{}
		for _, b := range codeBlocks(t, page) {
			if b.runnable && (slow || !b.slow) {
				byLanguage[b.language] = append(byLanguage[b.language], b)
			}
		}
		for _, language := range slices.Sorted(maps.Keys(byLanguage)) {
			all = append(all, story{page, language, byLanguage[language]})
		}
	}
	return all
}

// TestDocumentation runs the code blocks that the documentation marks as runnable. Each page is one story per language.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	found := stories(t, false)
	if len(found) == 0 {
		t.Fatal("the documentation has no runnable blocks")
	}
	runStories(t, found)
}

// TestDocumentation_slow runs the pages with blocks that take longer: those that build plugins, install a service, or
// use Python or JavaScript.
func TestDocumentation_slow(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	runStories(t, slices.DeleteFunc(stories(t, true), func(s story) bool {
		return !slices.ContainsFunc(s.blocks, func(b codeBlock) bool { return b.slow })
	}))
}

// npxArgs matches the arguments of an MCP server that npx downloads.
var npxArgs = regexp.MustCompile(`\["-y", ?"@modelcontextprotocol/server-everything"\]`)

// docPassword matches the passwords of the examples.
var docPassword = regexp.MustCompile(`6ZJKNJXX5CRFJKQOCEQCC7K4PC|your-password`)

// docServer is the server of the stories, with an object of each kind that the pages refer to by a variable.
type docServer struct {
	*server
	admin *client
	env   []string
}

func startDocServer(t *testing.T) docServer {
	t.Helper()
	s := start(t, openPlugins)
	c := s.signIn()
	agent := c.newAgent("echo")
	run := c.chat(agent, "docs", "Hello").Metadata.RunID
	return docServer{s, c, []string{
		"TOKEN=" + c.token, "AGENT=" + agent, "RUN=" + run,
		"FILE=" + c.upload("notes.txt", []byte("Milk, bread, eggs")).ID,
		"AGENTAREA_URL=" + s.url, "AGENTAREA_ADMIN_PASSWORD=" + adminPassword,
	}}
}

func runStories(t *testing.T, all []story) {
	t.Helper()
	shell := startDocServer(t)
	for _, s := range all {
		t.Run(s.page+" "+s.language, func(t *testing.T) {
			t.Parallel()
			on := shell
			// The languages create the same objects. A backup of secrets would need the key to restore them.
			if s.language != "sh" || s.page == "docs/backup.md" {
				on = startDocServer(t)
			}
			on.tell(t, s)
		})
	}
}

// tell runs a story in a folder of its own, and checks the replies that the page shows.
func (d docServer) tell(t *testing.T, s story) {
	t.Helper()
	dir := t.TempDir()
	d.fill(t, dir)
	env := append(os.Environ(), d.server.env...)
	env = append(env, d.env...)
	if slices.ContainsFunc(s.blocks, func(b codeBlock) bool { return strings.Contains(b.code, "my-server") }) {
		admin := *d.admin
		admin.t = t
		tool := admin.newMCPServer("my-server", object{"command": mcptest.EverythingServer(t)})
		admin.waitMCPServer(tool.ID, "the MCP server to run", running)
		env = append(env, "SERVER="+tool.ID)
	}
	var script strings.Builder
	script.WriteString(preambles[s.language])
	for _, b := range s.blocks {
		fmt.Fprintf(&script, "%s\n%s\n", fmt.Sprintf(separators[s.language], b.line), d.adapt(t, dir, b.code))
	}
	name := filepath.Join(dir, "story"+map[string]string{"sh": ".sh", "python": ".py", "js": ".mjs"}[s.language])
	if err := os.WriteFile(name, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter(t, s.language), name)
	cmd.Dir = dir
	cmd.Env = append(env, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "GOWORK=off",
		"AGENTAREA_STORY="+dir, "AGENTAREA_FAILED="+filepath.Join(dir, "failed"), "PYTHONDONTWRITEBYTECODE=1")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", s.page, err, out)
	}
	if failed, err := os.ReadFile(filepath.Join(dir, "failed")); err == nil {
		t.Errorf("%s: these calls failed:\n%s\n%s", s.page, failed, out)
	}
	for _, b := range s.blocks {
		_, output, ok := strings.Cut(string(out), fmt.Sprintf("@@ %d\n", b.line))
		if !ok {
			t.Errorf("%s:%d: the block did not run", s.page, b.line)
		}
		output, _, _ = strings.Cut(output, "@@ ")
		if b.reply != "" {
			wantKeys(t, fmt.Sprintf("%s:%d", s.page, b.line), b.reply, output)
		}
	}
}

// preambles make a story end at the first failure, also within a pipe.
var preambles = map[string]string{
	"sh": `set -euo pipefail
sudo() { while [[ $1 == *=* ]]; do export "$1"; shift; done; "$@"; }
systemctl() { :; }
make() { :; } # the test has built the programs
curl() { command curl --fail-with-body --max-time 60 "$@" || { echo "curl $*" >>"$AGENTAREA_FAILED"; return 1; }; }
`,
	"python": "import sys\nsys.path.insert(0, 'agentarea-python')\n",
}

// separators print the line of a block before it runs.
var separators = map[string]string{
	"sh": `cd "$AGENTAREA_STORY"; echo '@@ %d'`, "python": "print('@@ %d', flush=True)", "js": "console.log('@@ %d');",
}

func interpreter(t *testing.T, language string) string {
	t.Helper()
	switch language {
	case "sh":
		return "bash"
	case "python":
		if err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import requests, websocket").Run(); err != nil {
			testenv.Missing(t, "Python with requests and websocket-client", err)
		}
		return "/usr/bin/python3"
	case "js":
		return mcptest.Node(t)
	}
	t.Fatalf("no interpreter for the language %q", language)
	return ""
}

// fill creates what a reader has beside the server: the programs, plugins.hcl, the clients, and a file to upload.
func (d docServer) fill(t *testing.T, dir string) {
	t.Helper()
	root := checkout(t)
	if err := os.MkdirAll(filepath.Join(dir, "etc", "systemd", "system"), 0o700); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		"deploy":                 filepath.Join(root, "deploy"),
		"agentarea-python":       filepath.Join(root, "examples", "clients", "python"),
		"node_modules/agentarea": filepath.Join(root, "examples", "clients", "javascript"),
	}
	programs, err := os.ReadDir(d.bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if p.Type().IsRegular() {
			links[filepath.Join("bin", p.Name())] = filepath.Join(d.bin, p.Name())
		}
	}
	for name, target := range links {
		link := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"plugins.hcl": openPlugins, "report.pdf": "%PDF-1.4\n", "mine.json": "{}", "list.txt": "Milk, bread, eggs\n",
		"package.json": `{"type": "module"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// adapt replaces what differs between a reader's machine and the test: the address, the password, the folders, and the
// package that npx would download.
func (d docServer) adapt(t *testing.T, dir, code string) string {
	t.Helper()
	if strings.Contains(code, "npx") {
		everything := mcptest.PackageScript(t, "@modelcontextprotocol/server-everything")
		code = npxArgs.ReplaceAllString(code, `["`+everything+`"]`)
		code = strings.ReplaceAll(code, `"npx"`, `"`+mcptest.Node(t)+`"`)
	}
	code = docPassword.ReplaceAllString(code, adminPassword)
	return strings.NewReplacer(
		"localhost:8000", strings.TrimPrefix(d.url, "http://"),
		"/srv/data", filepath.Join(d.dir, "data"), "/srv/new", filepath.Join(dir, "new"), "/backups/", dir+"/",
		"/opt/", dir+"/opt/", "/etc/", dir+"/etc/",
	).Replace(code)
}

// wantKeys checks that the last line of JSON in an output has every key of an example.
func wantKeys(t *testing.T, where, example, output string) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(example), &want); err != nil {
		t.Errorf("%s: the reply on the page is not JSON: %v", where, err)
		return
	}
	var got any
	for line := range strings.Lines(output) {
		if json.Unmarshal(bytes.TrimSpace([]byte(line)), &got) == nil {
			continue
		}
	}
	if missing := missingKeys(want, got, ""); len(missing) > 0 {
		t.Errorf("%s: the reply has no %s:\n%s", where, strings.Join(missing, ", "), output)
	}
}

// missingKeys returns the paths of the keys of want that got does not have. It compares the first items of lists.
func missingKeys(want, got any, path string) (missing []string) {
	switch want := want.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		for key, value := range want {
			if other, ok := object[key]; !ok {
				missing = append(missing, strings.TrimPrefix(path+"."+key, "."))
			} else {
				missing = append(missing, missingKeys(value, other, path+"."+key)...)
			}
		}
	case []any:
		if list, ok := got.([]any); ok && len(list) > 0 && len(want) > 0 {
			missing = missingKeys(want[0], list[0], path+"[0]")
		}
	}
	slices.Sort(missing)
	return missing
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Each link of the documentation leads to a file of the checkout, and to a heading of it.
func TestDocumentation_links(t *testing.T) {
	t.Parallel()
	root := checkout(t)
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := filepath.Join(root, page)
			if target != "" {
				path = filepath.Join(root, filepath.Dir(page), target)
			}
			linked, err := os.ReadFile(path)
			if err != nil {
				if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
					t.Errorf("%s links to %s, which does not exist", page, found[1])
				}
				continue
			}
			if anchor != "" && !slices.Contains(anchors(string(linked)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, found[1])
			}
		}
	}
}

// anchors returns the anchors of a page's headings, as GitHub names them.
func anchors(text string) (all []string) {
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(strings.ReplaceAll(found[1], "`", "")), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}
