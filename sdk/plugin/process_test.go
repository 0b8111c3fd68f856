package plugin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// binaries is the folder in which the parrot is built once for all tests.
var binaries string

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "parrot")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./testdata/parrot").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "plugin-test"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

func parrot(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lines is a log on whose lines tests can wait.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find waits for a line with the message.
func (l *lines) find(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		for line := range strings.Lines(l.String()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["@message"] == message {
				return entry
			}
		}
		select {
		case <-l.news:
		case <-deadline:
			t.Fatalf("got no line %q in:\n%s", message, l)
		}
	}
}

// start starts the parrot with go-plugin and mutual TLS.
func start(t *testing.T) (*goplugin.Client, *grpc.ClientConn, *lines) {
	t.Helper()
	log := &lines{news: make(chan struct{}, 1)}
	c := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake, Plugins: plugin.Set(llm.Kind),
		Cmd:              exec.CommandContext(t.Context(), parrot(t)),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true, SkipHostEnv: true, GRPCDialOptions: plugin.DialOptions(),
		Logger: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug, JSONFormat: true}),
	})
	t.Cleanup(c.Kill)
	proto, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	cc, err := proto.Dispense(llm.Kind)
	if err != nil {
		t.Fatal(err)
	}
	return c, cc.(*grpc.ClientConn), log
}

func say(ctx context.Context, cc grpc.ClientConnInterface, text string) (string, error) {
	var reply words
	_, err := llm.NewClient(cc).Chat(ctx, &llm.Request{
		Stream: true, RunID: "run-42", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, text)},
	}, &reply)
	return strings.Join(reply, ""), err
}

type words []string

func (w *words) Send(d llm.Delta) error { *w = append(*w, d.Text); return nil }

func TestServe_process(t *testing.T) {
	t.Parallel()
	client, cc, log := start(t)
	ctx, base, dir := t.Context(), plugin.NewBase(cc), t.TempDir()

	d, err := base.Describe(ctx)
	if err != nil || d.Kind != "llm" || d.Name != "llm-parrot" || d.Version != "1.2.3" || len(d.Capabilities) != 1 {
		t.Fatalf("Describe() = %+v, %v, want llm-parrot 1.2.3", d, err)
	}
	ds, err := base.Configure(ctx, []byte(`{"suffix":"?"}`), sdk.Env{Label: "polly", DataDir: dir})
	if err != nil || len(ds) > 0 {
		t.Fatalf("Configure() = %+v, %v, want no diagnostics", ds, err)
	}
	if reply, err := say(ctx, cc, "hello"); reply != "hello?" || err != nil {
		t.Fatalf("got reply %q and error %v, want hello?", reply, err)
	}
	if line := log.find(t, "repeating"); line["run_id"] != "run-42" || line["@level"] != "info" ||
		line["bytes"] != 5.0 || line["env.label"] != "polly" {
		t.Errorf("got the line %v, want all attributes", line)
	}

	// A panic fails only its call, and only the log contains its value.
	var e *sdk.Error
	if _, err := say(ctx, cc, "panic"); !errors.As(err, &e) || e.Code != sdk.CodeInternal ||
		strings.Contains(e.Message, "secret") {
		t.Errorf("a call that panics: got error %v, want code %s without the value", err, sdk.CodeInternal)
	}
	if line := log.find(t, "panic"); line["panic"] != "secret inside" ||
		!strings.Contains(line["stack"].(string), "parrot") {
		t.Errorf("the log line of the panic = %v, want the value and the stack", line)
	}
	if reply, err := say(ctx, cc, "log"); reply != "log?" || err != nil {
		t.Fatalf("after the panic: got reply %q and error %v, want log?", reply, err)
	}
	if line := log.find(t, "long"); line["@level"] != "warn" || len(line["text"].(string)) < 10_000 {
		t.Errorf("got level %v for the long line, want info", line["@level"])
	}
	log.find(t, "from package log")

	if err := base.Health(ctx); err != nil {
		t.Error(err)
	}
	if err := base.Stop(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "stopped")); err != nil {
		t.Error(err)
	}
	client.Kill()
	if strings.Contains(log.String(), "failed to exit gracefully") {
		t.Error("the plugin did not exit by itself")
	}
	if _, err := say(ctx, cc, "hello"); !errors.As(err, &e) || e.Code != sdk.CodePluginCrashed || !e.Retryable {
		t.Errorf("call without a process: got error %v, want a retryable error with code %s", err, sdk.CodePluginCrashed)
	}
}

// If the host exits in any way, the plugin calls Stop, exits and removes its socket.
func TestServe_hostExits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), parrot(t))
	cmd.Env = []string{plugin.Handshake.MagicCookieKey + "=" + plugin.Handshake.MagicCookieValue}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	handshake, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.Split(handshake, "|")[3]
	cc, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	if _, err := plugin.NewBase(cc).Configure(t.Context(), nil, sdk.Env{DataDir: dir}); err != nil {
		t.Fatal(err)
	}

	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the plugin's exit: got error %v, want status 0", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat of the socket: got error %v, want %v", err, os.ErrNotExist)
	}
	if _, err := os.Stat(filepath.Join(dir, "stopped")); err != nil {
		t.Error(err)
	}
}

func TestServe_startedWithoutHost(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), parrot(t))
	cmd.Env = []string{}
	var text strings.Builder
	cmd.Stderr, cmd.Stdout = &text, io.Discard
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatal(err)
	}
	if got := text.String(); strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, `plugin "llm" block for it to plugins.hcl`) {
		t.Errorf("got output %q, want one line that names the block for plugins.hcl", got)
	}
}
