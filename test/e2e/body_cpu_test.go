package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

const (
	// wholeSize is the size in bytes of the largest bodies. It is a little smaller than the maximum.
	wholeSize = 1<<20 - 8<<10
	// fieldSize is the size of other hostile values, which the data of a task may have, too.
	fieldSize = 160 << 10
	// textSize is the size of hostile texts.
	textSize = 64 << 10
	// costRatio is how much more CPU time a byte of a hostile body may cost than a byte of an ordinary one.
	// Time that grows with the square of the size, or with the value of a number, exceeds it by far.
	costRatio = 20
	// costNoise is the CPU time that the server may use for other work during a request.
	costNoise = 30 * time.Millisecond
)

// No body makes the server use much more CPU time for each byte than an ordinary body does. The test sends
// hostile values as each body of the OpenAPI document, and as each of its fields.
func TestBodyCPU(t *testing.T) {
	testenv.Slow(t)
	testenv.Linux(t)
	t.Parallel()
	s := start(t, openPlugins)
	m := newBodyMeter(s)
	_, operations := s.document()
	for _, op := range operations {
		spec := op.route.Operation.RequestBody
		if spec == nil {
			continue
		}
		path := fill(op.route.Path, m.ids(op))
		if spec.Value.Content["multipart/form-data"] != nil {
			m.measureUpload(op.route.Method, path)
			continue
		}
		media := spec.Value.Content["application/json"]
		if media == nil {
			t.Errorf("%s has no JSON body: add it to this test", op)
			continue
		}
		m.measureOperation(op, path, m.example(op, media.Example))
	}
	m.report()
}

// bodyMeter sends bodies and measures the CPU time of the server.
type bodyMeter struct {
	*client
	pid int
	// agent is an inactive agent, and changed another one that requests may change.
	agent, changed, server string
	// perByte is the CPU time in nanoseconds for a byte of an ordinary body.
	perByte float64
	costs   []bodyCost
}

// bodyCost is the cost of one request.
type bodyCost struct {
	what string
	size int
	used time.Duration
	// allowed is the CPU time that the request may cost.
	allowed time.Duration
}

func newBodyMeter(s *server) *bodyMeter {
	s.t.Helper()
	m := &bodyMeter{client: s.signIn(), pid: s.cmd.Process.Pid}
	m.agent, m.changed = m.newAgent("echo"), m.newAgent("echo")
	m.do("PATCH", "/v1/agents/"+m.agent, object{"status": "inactive"}).want(s.t, 200)
	m.server = decode[struct{ ID string }](s.t, m.post("/v1/mcp-servers/", object{
		"name": "m", "config": object{"url": "https://example.com/mcp"}, "auto_start": false,
	}).want(s.t, 201)).ID
	body := `{"metadata":{"items":` + list(wholeSize, func(i int) string {
		return fmt.Sprintf(`{"id":%d,"name":"item %d","done":false}`, i, i)
	}) + `}}`
	used := m.cost("PATCH", "/v1/files/none", body, "")
	for range 4 {
		used = min(used, m.cost("PATCH", "/v1/files/none", body, ""))
	}
	m.perByte = float64(used.Nanoseconds()) / float64(len(body))
	s.t.Logf("an ordinary body costs %.1f ns a byte", m.perByte)
	return m
}

// ids returns the values of an operation's path parameters. An object that does not exist is sufficient where
// the server checks the body before it looks for the object.
func (m *bodyMeter) ids(op operation) map[string]string {
	ids := map[string]string{"agent_id": m.changed, "server_id": m.server}
	if op.id == "chat" {
		ids["agent_id"] = m.agent
	}
	for _, p := range op.parameters("path") {
		if ids[p.Name] == "" {
			ids[p.Name] = "none"
		}
	}
	return ids
}

// example returns a valid body of an operation, with all fields of the configs.
func (m *bodyMeter) example(op operation, documented any) object {
	m.t.Helper()
	data, err := json.Marshal(documented)
	if err != nil {
		m.t.Fatal(err)
	}
	var body object
	if err := json.Unmarshal(data, &body); err != nil {
		m.t.Fatalf("the example of %s: %v", op, err)
	}
	switch {
	case strings.Contains(op.route.Path, "/mcp-servers"):
		delete(body, "transport") // the config has fields of several transports
		if op.id == "create-mcp-server" {
			body["auto_start"] = false
		}
		body["config"] = map[string]any{
			"url": "https://example.com/mcp", "headers": map[string]any{"A": "b"}, "command": "false",
			"args": []any{"a"}, "env": map[string]any{"A": "b"},
		}
	case body["config"] != nil:
		body["config"] = map[string]any{
			"model": "echo", "system_prompt": "a", "stop": []any{"a"}, "mcp_servers": []any{"a"},
			"tools": []any{"a"}, "max_tokens": 1.0, "temperature": 1.0,
		}
	}
	if body["agent_id"] != nil {
		body["agent_id"] = m.agent
	}
	return body
}

// measureOperation measures hostile values as the whole body and as each field of the example and of its objects.
func (m *bodyMeter) measureOperation(op operation, path string, example object) {
	m.t.Helper()
	documented := encode(m.t, example)
	plain := m.cost(op.route.Method, path, documented, "") // for example, it hashes a password
	send := func(what string, body string) { m.measure(op.route.Method, path, what, body, "", plain) }
	for what, value := range hostileValues(nil, fieldSize) {
		send(what, value)
	}
	for what, more := range hostileMembers(wholeSize) {
		send(what, strings.TrimSuffix(documented, "}")+","+more+"}")
	}
	for _, name := range slices.Sorted(maps.Keys(example)) {
		m.eachHostile(example[name], 2, func(what string, value any) {
			body := maps.Clone(example)
			body[name] = value
			send(name+what, encode(m.t, body))
		})
	}
}

// eachHostile calls f for each hostile value in place of a field's value, and in place of its fields if it is an
// object, down to a number of levels.
func (m *bodyMeter) eachHostile(field any, levels int, f func(what string, value any)) {
	for what, value := range hostileValues(field, fieldSize) {
		f(": "+what, json.RawMessage(value))
	}
	fields, ok := field.(map[string]any)
	if !ok || levels == 0 {
		return
	}
	for what, more := range hostileMembers(fieldSize) {
		f(": "+what, json.RawMessage("{"+more+"}"))
	}
	for name, value := range fields {
		m.eachHostile(value, levels-1, func(what string, value any) {
			changed := maps.Clone(fields)
			changed[name] = value
			f("."+name+what, changed)
		})
	}
}

// measureUpload measures hostile metadata of an upload.
func (m *bodyMeter) measureUpload(method, path string) {
	m.t.Helper()
	upload := func(metadata string) (body, contentType string) {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		err := form.WriteField("metadata", metadata)
		if part, e := form.CreateFormFile("file", "a.txt"); e == nil {
			_, err = part.Write([]byte("a"))
		}
		if err != nil || form.Close() != nil {
			m.t.Fatal(err)
		}
		return b.String(), form.FormDataContentType()
	}
	body, contentType := upload(`{"a":1}`)
	plain := m.cost(method, path, body, contentType)
	for what, value := range hostileValues(nil, fieldSize) {
		body, contentType := upload(value)
		m.measure(method, path, "metadata: "+what, body, contentType, plain)
	}
	for what, more := range hostileMembers(fieldSize) {
		body, contentType := upload("{" + more + "}")
		m.measure(method, path, "metadata: "+what, body, contentType, plain)
	}
}

// measure sends a body and records its cost. It repeats a request that costs too much, because the server may
// have done other work meanwhile.
func (m *bodyMeter) measure(method, path, what, body, contentType string, plain time.Duration) {
	m.t.Helper()
	c := bodyCost{what: method + " " + path + ", " + what, size: len(body)}
	c.allowed = costNoise + 2*plain + time.Duration(costRatio*m.perByte*float64(len(body)))
	c.used = m.cost(method, path, body, contentType)
	for range 2 {
		if c.used > c.allowed {
			c.used = min(c.used, m.cost(method, path, body, contentType))
		}
	}
	m.costs = append(m.costs, c)
}

// cost sends a request and returns the CPU time that the server uses meanwhile.
func (m *bodyMeter) cost(method, path, body, contentType string) time.Duration {
	m.t.Helper()
	var headers []string
	if contentType != "" {
		headers = append(headers, "Content-Type: "+contentType)
	}
	before := cpuTime(m.t, m.pid)
	r, err := m.try(method, path, body, headers...)
	used := cpuTime(m.t, m.pid) - before
	if err == nil && r.status >= 500 { // the server may close the connection of a body that it refuses
		m.t.Errorf("%s %s: got status %d, want a refusal: %s", method, path, r.status, r.body[:min(len(r.body), 300)])
	}
	return used
}

// report logs the most expensive bodies and fails for those that cost too much.
func (m *bodyMeter) report() {
	m.t.Helper()
	slices.SortFunc(m.costs, func(a, b bodyCost) int {
		return int(b.used*1000/b.allowed) - int(a.used*1000/a.allowed)
	})
	sum := time.Duration(0)
	for i, c := range m.costs {
		sum += c.used
		line := fmt.Sprintf("%s: %d bytes cost %s, allowed are %s", c.what, c.size, c.used, c.allowed)
		if c.used > c.allowed {
			m.t.Error(line)
		} else if i < 10 {
			m.t.Log(line)
		}
	}
	m.t.Logf("%d bodies cost %s of CPU time", len(m.costs), sum.Round(time.Millisecond))
	if len(m.costs) < 500 {
		m.t.Errorf("%d bodies were sent, want at least 500", len(m.costs))
	}
}

// cpuTime returns the CPU time of all threads of a process.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	threads, err := filepath.Glob("/proc/" + itoa(pid) + "/task/*/schedstat")
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d has no threads (%v)", pid, err)
	}
	var sum time.Duration
	for _, path := range threads {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(data), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(n)
	}
	return sum
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// list returns a JSON array of about size bytes.
func list(size int, item func(i int) string) string {
	return "[" + joined(size, item) + "]"
}

// joined returns items separated by commas, of about size bytes.
func joined(size int, item func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item(i))
	}
	return b.String()
}

// hostileMembers returns the members of hostile objects of about size bytes.
func hostileMembers(size int) map[string]string {
	return map[string]string{
		"many unknown keys": joined(size, func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }),
		"many long keys":    joined(size, func(i int) string { return fmt.Sprintf(`"unknown-%053d":1`, i) }),
		"one huge key":      `"` + strings.Repeat("k", size) + `":1`,
		"a duplicate key":   joined(size, func(int) string { return `"name":"a"` }),
		"duplicate objects": joined(size, func(int) string { return `"config":{"model":"echo"}` }),
	}
}

// hostileValues returns hostile values of about size bytes of the type of example, or of all types if it is nil.
func hostileValues(example any, size int) map[string]string {
	quoted := func(part string) string { return `"` + strings.Repeat(part, min(size, textSize)/len(part)) + `"` }
	texts := map[string]string{
		"a long text":          quoted("a"),
		"spaces":               quoted(" "),
		"escapes":              quoted(`\u00e9`),
		"surrogates":           quoted(`\ud83d\ude00`),
		"quotes":               quoted(`\"`),
		"hyphens":              quoted("a-"),
		"addresses":            quoted("a@a."),
		"a long fraction":      `"2025-01-31T12:00:00.` + strings.Repeat("1", textSize) + `Z"`,
		"a URL with many dots": `"https://` + strings.Repeat("a.", textSize/2) + `"`,
	}
	repeated := func(item string) string { return list(size, func(int) string { return item }) }
	lists := map[string]string{
		"equal items":    repeated(`"a"`),
		"distinct items": list(size, func(i int) string { return fmt.Sprintf(`"%d"`, i) }),
		"empty objects":  repeated("{}"),
		"equal lists":    repeated("[1,2]"),
		"deep lists":     repeated(strings.Repeat("[", 58) + strings.Repeat("]", 58)),
		"deep objects":   repeated(strings.Repeat(`{"a":`, 58) + "1" + strings.Repeat("}", 58)),
		"numbers":        list(size, strconv.Itoa),
		"long numbers":   repeated(strings.Repeat("9", 390)),
		"exponents":      list(size, func(i int) string { return fmt.Sprintf("1e-%d", 300+i%9) }),
		"fractions":      list(size, func(i int) string { return fmt.Sprintf("0.%d", i+1) }),
		// A conversion to a number of arbitrary precision would take seconds.
		"extreme exponents": list(250, func(i int) string { return fmt.Sprintf("1e-9999%02d", i) }),
	}
	numbers := map[string]string{
		"a huge number":       "1" + strings.Repeat("0", size),
		"a tiny number":       "0." + strings.Repeat("0", size) + "1",
		"an exponent":         "1e308",
		"a huge exponent":     "1e999999999",
		"a negative exponent": "-1e-999999999",
	}
	switch example.(type) {
	case string:
		return texts
	case []any:
		return lists
	case float64:
		return numbers
	case bool:
		return nil
	case nil:
		all := maps.Clone(lists)
		maps.Copy(all, numbers)
		all["a long text"] = texts["a long text"]
		return all
	}
	return map[string]string{"a list": lists["distinct items"]}
}
