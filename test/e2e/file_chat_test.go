package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/openaitest"
)

// A message's files are shown to the model, and nobody else's can be named.
func TestChatWithFiles(t *testing.T) {
	t.Parallel()
	s := shared(t)
	admin := s.signIn()
	ann, bob := s.newUser(admin, "ann", "member"), s.newUser(admin, "bob", "member")
	agent := ann.newAgent("echo")
	words, his := ann.upload("words.txt", []byte("The secret word is xyzzy.")), bob.upload("his.txt", []byte("his"))
	chat := "/v1/agents/" + agent + "/chat"
	r := ann.post(chat, object{"message": "Look:", "session_id": "s", "file_ids": []string{words.ID}}).want(t, 200)
	if got := decode[chatReply](t, r).Message; !strings.Contains(got, "Look:") || !strings.Contains(got, "xyzzy") || !strings.Contains(got, "words.txt") {
		t.Errorf("the model was shown %q", got)
	}
	// Only what a session has is its own: other sessions see nothing.
	if got := ann.chat(agent, "other", "And now?").Message; strings.Contains(got, "xyzzy") {
		t.Errorf("another session says %q", got)
	}
	history := string(ann.get(chat+"/history?session_id=s").want(t, 200).body)
	if !strings.Contains(history, words.ID) || strings.Contains(history, "xyzzy") && !strings.Contains(history, "Look:") {
		t.Errorf("the history is %s", history)
	}
	for name, ids := range map[string][]string{"foreign": {his.ID}, "unknown": {"file-0"}} {
		f := ann.post(chat, object{"message": "Look:", "session_id": "t", "file_ids": ids}).want(t, 400).failure(t)
		if f.Code != "VALIDATION_ERROR" || f.Details.Field != "file_ids[0]" || !strings.Contains(f.Details.Issue, ids[0]) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	f := ann.post(chat, object{"message": "Look:", "file_ids": []string{words.ID, his.ID}}).want(t, 400).failure(t)
	if f.Details.Field != "file_ids[1]" {
		t.Errorf("%+v", f)
	}
	if h := ann.history(agent, "t"); len(h) != 0 {
		t.Errorf("a message that was refused is kept: %+v", h)
	}
	// A file that is deleted later keeps its name in the conversation, and no more.
	ann.do("DELETE", "/v1/files/"+words.ID, nil).want(t, 204)
	ann.chat(agent, "s", "Again?")
	if h := string(ann.get(chat+"/history?session_id=s").want(t, 200).body); !strings.Contains(h, "words.txt") {
		t.Errorf("the history is %s", h)
	}
}

const localFiles = `
plugin "files" "local" {
  command = "files-local"
}
`

var fileID = regexp.MustCompile(`file-[0-9a-z]+`)

func fileCall(n int, tool, arguments string) openaitest.Reply {
	return openaitest.Tools(openaitest.ToolCall{ID: fmt.Sprintf("call_%d", n), Name: "files__" + tool, Arguments: arguments})
}

func (c *client) newWriter() string {
	c.t.Helper()
	r := c.post("/v1/agents/", object{"name": "a", "type": "chat", "config": object{"model": "gpt-4o", "tools": []string{"files__*"}}})
	return decode[struct{ ID string }](c.t, r.want(c.t, 201)).ID
}

// The model writes a file, finds it in its list, and reads it.
func TestFileTools(t *testing.T) {
	t.Parallel()
	var step atomic.Int64
	var id atomic.Value
	last := func(r *openaitest.Request) string { return string(r.Messages[len(r.Messages)-1].Content) }
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		switch step.Add(1) {
		case 1:
			if len(r.Tools) != 3 {
				t.Errorf("%d tools are offered", len(r.Tools))
			}
			return fileCall(1, "write", `{"name":"../report.md","content":"# Report\nAll is well."}`)
		case 2:
			id.Store(fileID.FindString(last(r)))
			return fileCall(2, "list", "{}")
		case 3:
			if !strings.Contains(last(r), "report.md") {
				t.Errorf("the list is %s", last(r))
			}
			return fileCall(3, "read", fmt.Sprintf(`{"file_id":%q,"offset":2}`, id.Load()))
		case 4:
			if !strings.Contains(last(r), "All is well.") {
				t.Errorf("the file reads %s", last(r))
			}
			return fileCall(4, "read", `{"file_id":"file-0"}`)
		default:
			if !strings.Contains(last(r), "no file") {
				t.Errorf("a file that is not there reads %s", last(r))
			}
			return openaitest.Text("It is written.")
		}
	}})
	s := start(t, pluginsHCL(base)+localFiles)
	c := s.signIn()
	other := c.upload("other.txt", []byte("not of this conversation"))
	reply := c.chat(c.newWriter(), "s", "Write a report")
	if reply.Message != "It is written." {
		t.Errorf("the answer is %q", reply.Message)
	}
	files := c.files()
	if len(files) != 2 || files[1].ID != other.ID || files[0].ID != id.Load() || files[0].Name != "report.md" {
		t.Fatalf("the files are %+v, the model was told %v", files, id.Load())
	}
	if got := c.get("/v1/files/"+files[0].ID+"/download").want(t, 200); !bytes.Equal(got.body, []byte("# Report\nAll is well.")) {
		t.Errorf("the file is %s", got.body)
	}
	c.checkDownload(files[0])
}

// The server dies around the write of a file: the run goes on, and there is the
// file once.
func TestServerKilledAfterWrite(t *testing.T) {
	t.Parallel()
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		if r.Messages[len(r.Messages)-1].Role != "tool" {
			return fileCall(1, "write", `{"name":"report.md","content":"`+strings.Repeat("All is well. ", 500)+`"}`)
		}
		done := openaitest.Text("It is now written, word by word, and there it is.")
		done.Delay = 20 * time.Millisecond
		return done
	}})
	s := start(t, pluginsHCL(base)+localFiles)
	c := s.signIn()
	agent := c.newWriter()
	for round := range 3 {
		stream := c.startTurn(agent, itoa(round), "Write a report")
		if round == 0 {
			stream.readTokens(2) // surely after the write
		} else {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // the moment is what is tried
		}
		s.kill()
		stream.readAll()
		s.restart()
		h := c.history(agent, itoa(round))
		if len(h) == 0 {
			t.Fatal("the message is lost")
		}
		if r := c.waitRun(h[0].Metadata.RunID); r.Status != "completed" {
			t.Errorf("the run is %+v", r)
		}
		files := c.files()
		if len(files) != round+1 {
			t.Fatalf("after %d runs there are %+v", round+1, files)
		}
		c.checkDownload(files[0])
		if files[0].Size != 6_500 {
			t.Errorf("%+v", files[0])
		}
	}
}
