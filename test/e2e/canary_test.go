package e2e_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/agentarea/agentarea/test/openaitest"
	"github.com/agentarea/agentarea/test/pgtest"
	"github.com/agentarea/agentarea/test/testenv"
)

// canaries are the secrets of a test, by description. A test looks for them where they must not be.
type canaries map[string]string

// add returns a new random secret. It contains characters that URLs and shells escape.
func (c canaries) add(what string) string {
	c[what] = fmt.Sprintf("cAn/%s/aRy", sha256Hex([]byte(what + time.Now().String()))[:24])
	return c[what]
}

// encodings returns the texts in which a secret may occur: itself, escaped, in hex, and in base64
// at each offset.
func encodings(secret string) []string {
	all := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
		strings.ToUpper(hex.EncodeToString([]byte(secret))), strings.ReplaceAll(secret, "/", `\/`),
	}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
		// the characters that do not depend on the bytes around the secret
		encoded = encoded[(before*4+2)/3+1 : len(encoded)-2]
		all = append(all, encoded, strings.NewReplacer("+", "-", "/", "_").Replace(encoded))
	}
	return all
}

// wantAbsent reports each canary that is in a text, except for those in but.
func (c canaries) wantAbsent(t *testing.T, where string, text []byte, but ...string) {
	t.Helper()
	for what, secret := range c {
		exempt := false
		for _, b := range but {
			exempt = exempt || b == what
		}
		if exempt {
			continue
		}
		for _, form := range encodings(secret) {
			if i := bytes.Index(text, []byte(form)); i >= 0 {
				t.Errorf("%s contains the %s as %q: …%q", where, what, form, text[max(0, i-80):min(len(text), i+len(form)+40)])
				break
			}
		}
	}
}

// TestCanariesAreFound checks that encodings finds a secret in each form.
func TestCanariesAreFound(t *testing.T) {
	t.Parallel()
	secret := canaries{}.add("x")
	for before := range 7 {
		text := strings.Repeat("b", before) + secret + "after"
		for name, as := range map[string]string{
			"plain": text, "hex": hex.EncodeToString([]byte(text)), "query": url.QueryEscape(text),
			"base64":         base64.StdEncoding.EncodeToString([]byte(text)),
			"base64 of URLs": base64.RawURLEncoding.EncodeToString([]byte(text)),
		} {
			found := false
			for _, form := range encodings(secret) {
				found = found || strings.Contains(as, form)
			}
			if !found {
				t.Errorf("the secret is not found in %s at offset %d", name, before)
			}
		}
	}
}

// No secret that is given to the server is in its data, its replies, its logs, or the environment
// and command line of the processes that it starts.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	pairs := [][2]string{{"sqlite", "text"}, {"postgres", "json"}, {"sqlite", "json"}, {"postgres", "text"}}
	for _, pair := range pairs[:testenv.Rounds(2, 4)] {
		database, format := pair[0], pair[1]
		t.Run(database+" "+format, func(t *testing.T) {
			t.Parallel()
			secretsAreNowhere(t, database, format)
		})
	}
}

func secretsAreNowhere(t *testing.T, database, format string) {
	secret := canaries{}
	up := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		last := r.Messages[len(r.Messages)-1]
		switch {
		case last.Role == "tool":
			return openaitest.Text("It is you.")
		case strings.Contains(last.Text(), "who"):
			return openaitest.Tools(toolCall(1, "guarded__whoami", "{}"))
		}
		// Some providers repeat the key in the error.
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return openaitest.Reply{
			Status: 401, Error: &openaitest.Error{Message: "Incorrect API key provided: " + key, Type: "invalid_request_error"},
		}
	}})
	stanzas := strings.Replace(pluginsHCL(up), `"sk-of-the-test"`, `env("CANARY_KEY")`, 1) + stdioPlugin + mcpHTTP
	s := newServer(t, stanzas)
	s.args = append(s.args, "--log-level", "debug", "--log-format", format)
	rootKey := hex.EncodeToString([]byte(secret.add("root key")))
	s.env = append(s.env, // the last value of a variable wins
		"AGENTAREA_ADMIN_PASSWORD="+secret.add("admin password"),
		"CANARY_KEY="+secret.add("provider key"),
		"AGENTAREA_SECRET_KEY="+rootKey+","+hex.EncodeToString([]byte(secret.add("old root key")+"12")),
	)
	if database == "postgres" {
		u, err := url.Parse(pgtest.Start(t))
		if err != nil {
			t.Fatal(err)
		}
		if p, set := u.User.Password(); set {
			secret["database password"] = p
		} else {
			u.User = url.UserPassword(u.User.Username(), secret.add("database password"))
		}
		s.at(u.String())
	}
	s.start()
	c := s.signInAs("admin", secret["admin password"])
	login := decode[tokens](t,
		c.post("/v1/auth/login", object{"username": "admin", "password": secret["admin password"]}).want(t, 200))
	secret["access token"], secret["refresh token"] = login.AccessToken, login.RefreshToken
	c.token = login.AccessToken
	key := decode[struct{ Key string }](t,
		c.post("/v1/api-keys", object{"name": "k", "scopes": []string{"*"}}).want(t, 201)).Key
	if key == "" {
		t.Fatal("the reply has no API key")
	}
	secret["API key"] = key

	var output bytes.Buffer
	say := func(r *reply) *reply {
		fmt.Fprintf(&output, "%v\n%s\n", r.header, r.body)
		return r
	}
	// Users, and failed sign-ins.
	say(c.post("/v1/users/",
		object{"username": "ann", "email": "ann@example.com", "password": secret.add("password")}).want(t, 201))
	say(c.post("/v1/users/",
		object{"username": "ann", "email": "ann@example.com", "password": secret.add("password of nobody")}).want(t, 409))
	say(c.post("/v1/users/",
		object{
			"username": "bob", "email": "x", "password": secret["password of nobody"], "passwort": secret["password of nobody"],
		}).want(t, 400))
	nobody := s.anonymous()
	say(nobody.post("/v1/auth/login", object{"username": "ann", "password": secret.add("wrong password")}).want(t, 401))
	say(nobody.post("/v1/auth/login", `{"username":"ann","password":"`+secret.add("password in bad JSON")+`"`).want(t,
		400))
	say(nobody.post("/v1/auth/refresh", object{"refresh_token": "rt_" + secret.add("made up refresh token")}).want(t, 401))
	nobody.token = secret.add("made up token")
	say(nobody.get("/v1/auth/me").want(t, 401))
	nobody.token = secret["access token"] + "x"
	say(nobody.get("/v1/auth/me").want(t, 401))

	// MCP servers: one that fails with a message, one that is refused, and one that works.
	failing := decode[mcpServer](t, say(c.post("/v1/mcp-servers/", object{"name": "failing", "config": object{
		"command": "/bin/sh", "args": []string{"-c", `echo "no such token: $TOKEN" >&2; exit 3`},
		"env": object{"TOKEN": secret.add("MCP env")},
	}}).want(t, 201)))
	sitting := decode[mcpServer](t, say(c.post("/v1/mcp-servers/", object{"name": "sitting", "config": object{
		"command": "/bin/sh", "args": []string{"-c", `echo "$TOKEN" >&2; exec sleep 1000`},
		"env": object{"TOKEN": secret["MCP env"]},
	}}).want(t, 201)))
	header := "Bearer " + secret.add("MCP header")
	at := protectedMCP(t, header)
	guarded := decode[mcpServer](t,
		say(c.post("/v1/mcp-servers/", object{"name": "guarded", "slug": "guarded", "config": object{
			"url": at + "/?key=" + url.QueryEscape(secret.add("MCP query")), "headers": object{"Authorization": header},
		}}).want(t, 201)))
	refused := decode[mcpServer](t, say(c.post("/v1/mcp-servers/", object{"name": "refused", "config": object{
		"url":     at + "/?key=" + url.QueryEscape(secret["MCP query"]),
		"headers": object{"Authorization": "Bearer " + secret.add("wrong MCP header")},
	}}).want(t, 201)))
	say(c.post("/v1/mcp-servers/", object{"name": "bad", "config": object{
		"url":     "https://user:" + url.QueryEscape(secret.add("password in a URL")) + "@example.com/",
		"headers": object{"Host": secret.add("bad MCP header")},
	}}).want(t, 400))
	failed := func(m mcpServer) bool { return m.Status == "error" && m.LastError != "" }
	c.waitMCPServer(failing.ID, "it fails", failed)
	c.waitMCPServer(refused.ID, "it is refused", failed)
	c.waitMCPServer(guarded.ID, "it runs", running)

	// Chats and tasks with a provider that repeats the key in its error.
	agent := decode[struct{ ID string }](t, say(c.post("/v1/agents/", object{"name": "a", "type": "chat", "config": object{
		"model": "gpt-4o", "mcp_servers": []string{"guarded"},
	}}).want(t, 201))).ID
	if r := say(c.post("/v1/agents/"+agent+"/chat", object{"message": "who am I?", "session_id": "s"}).want(t,
		200)); !bytes.Contains(r.body, []byte("It is you")) {
		t.Errorf("got %s, want the answer after the tool call", r.body)
	}
	say(c.post("/v1/agents/"+agent+"/chat", object{"message": "Hello", "session_id": "t"}).want(t, 502))
	stream := c.startTurn(agent, "u", "Hello")
	end := stream.readAll()
	fmt.Fprintf(&output, "%s\n", end.data)
	failedTask := c.newTask(agent, "Hello")
	c.waitTask(failedTask.ID)

	// An invalid plugins.hcl with a key in it.
	s.writePlugins(strings.Replace(stanzas, `env("CANARY_KEY")`,
		`"`+secret.add("key in plugins.hcl")+`"`+"\n    bas_url = 1", 1))
	say(c.post("/v1/plugins/reload", nil).want(t, 400))
	// the string does not end
	s.writePlugins(strings.Replace(stanzas, `env("CANARY_KEY")`, `"`+secret["key in plugins.hcl"], 1))
	say(c.post("/v1/plugins/reload", nil).want(t, 400))
	s.writePlugins(strings.Replace(stanzas, `env("CANARY_KEY")`, `["`+secret["key in plugins.hcl"]+`"]`, 1))
	say(c.post("/v1/plugins/reload", nil).want(t, 400))
	s.writePlugins(stanzas)
	say(c.post("/v1/plugins/reload", nil).want(t, 200))

	paths := []string{
		"/v1/agents/", "/v1/agents/" + agent, "/v1/mcp-servers/", "/v1/mcp-servers/" + failing.ID,
		"/v1/mcp-servers/" + guarded.ID, "/v1/mcp-servers/" + refused.ID,
		"/v1/mcp-servers/" + failing.ID + "/logs", "/v1/mcp-servers/" + sitting.ID + "/logs",
		"/v1/mcp-servers/" + refused.ID + "/logs", "/v1/mcp-servers/" + guarded.ID + "/logs",
		"/v1/plugins", "/v1/models", "/v1/tasks/", "/v1/tasks/" + failedTask.ID,
		"/v1/users/", "/v1/auth/me", "/v1/api-keys", "/v1/audit?limit=100", "/v1/usage", "/v1/usage/storage",
		"/v1/agents/" + agent + "/chat/history", "/metrics", "/health/ready", "/openapi.json",
	}
	for _, path := range paths {
		say(c.get(path).want(t, 200))
	}
	w := c.dialWebSocket()
	w.subscribe("system")
	secret.wantAbsent(t, "the replies", output.Bytes())

	for pid, cmdline := range children(t, s.cmd.Process.Pid) {
		environ, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "environ"))
		if err != nil {
			continue // the process has ended
		}
		var but []string
		if strings.Contains(cmdline, "sleep\x001000") || strings.Contains(cmdline, "/bin/sh") {
			but = []string{"MCP env"}
		}
		secret.wantAbsent(t, "the environment of "+cmdline, environ, but...)
		secret.wantAbsent(t, "the command line of "+cmdline, []byte(cmdline))
	}

	s.must("backup", filepath.Join(s.dir, "backup.tar"))
	s.must("secrets", "rotate")
	secret.wantAbsent(t, "the data folder while it runs", folderContents(t, filepath.Join(s.dir, "data")))
	s.terminate()
	<-s.exited
	secret.wantAbsent(t, "the log", []byte(s.stderr.String()))
	secret.wantAbsent(t, "standard output", []byte(s.stdout.String()))
	secret.wantAbsent(t, "the data folder", folderContents(t, filepath.Join(s.dir, "data")))
	archive, err := os.ReadFile(filepath.Join(s.dir, "backup.tar"))
	if err != nil {
		t.Fatal(err)
	}
	secret.wantAbsent(t, "the backup", archive)
	if database == "postgres" {
		secret.wantAbsent(t, "the database", tablesOf(t, s.databaseURL))
	}
}

// folderContents returns the names and the contents of all files in a folder.
func folderContents(t *testing.T, path string) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.WriteString(path + "\n")
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// tablesOf returns every row of every table, with bytes in hex.
func tablesOf(t *testing.T, url string) []byte {
	t.Helper()
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(url), pgdriver.WithInsecure(true)))
	defer func() { _ = db.Close() }()
	tables := rowsOf(t, db, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
	if len(tables) < 10 {
		t.Fatalf("got only the tables %q", tables)
	}
	var all bytes.Buffer
	for _, table := range tables {
		for _, row := range rowsOf(t, db, "SELECT x::text FROM "+table+" x") {
			all.WriteString(row + "\n")
		}
	}
	return all.Bytes()
}

func rowsOf(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// children returns the command lines of a process's descendants, by process id. It returns none
// where there is no /proc.
func children(t *testing.T, of int) map[int]string {
	t.Helper()
	found := map[int]string{}
	if runtime.GOOS != "linux" {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	parents := map[int]int{}
	for _, e := range entries {
		var pid, parent int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if _, err := fmt.Sscanf(rest, "%c %d", new(rune), &parent); err == nil {
			parents[pid] = parent
		}
	}
	for pid := range parents {
		for up := parents[pid]; up > 1; up = parents[up] {
			if up == of {
				cmdline, _ := os.ReadFile(filepath.Join("/proc", itoa(pid), "cmdline"))
				found[pid] = string(cmdline)
				break
			}
		}
	}
	if len(found) < 4 {
		t.Errorf("got only the children %v", found)
	}
	return found
}
