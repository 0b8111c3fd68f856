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

// The model gets the content of a message's files. A message cannot name files of other users.
func TestChatWithFiles(t *testing.T) {
	t.Parallel()
	s := shared(t)
	admin := s.signIn()
	ann, bob := s.newUser(admin, "ann", "member"), s.newUser(admin, "bob", "member")
	agent := ann.newAgent("echo")
	words, his := ann.upload("words.txt", []byte("The secret word is xyzzy.")), bob.upload("his.txt", []byte("his"))
	chat := "/v1/agents/" + agent + "/chat"
	r := ann.post(chat, object{"message": "Look:", "session_id": "s", "file_ids": []string{words.ID}}).want(t, 200)
	if got := decode[chatReply](t, r).Message; !strings.Contains(got, "Look:") || !strings.Contains(got, "xyzzy") ||
		!strings.Contains(got, "words.txt") {
		t.Errorf("the model got %q, want the message with the file", got)
	}
	// Another session does not have the file.
	if got := ann.chat(agent, "other", "And now?").Message; strings.Contains(got, "xyzzy") {
		t.Errorf("another session has the file: %q", got)
	}
	history := string(ann.get(chat+"/history?session_id=s").want(t, 200).body)
	if !strings.Contains(history, words.ID) || strings.Contains(history, "xyzzy") && !strings.Contains(history, "Look:") {
		t.Errorf("got history %s, want the file's id", history)
	}
	for name, ids := range map[string][]string{"foreign": {his.ID}, "unknown": {"file-0"}} {
		f := ann.post(chat, object{"message": "Look:", "session_id": "t", "file_ids": ids}).want(t, 400).failure(t)
		if f.Code != "VALIDATION_ERROR" || f.Details.Field != "file_ids[0]" || !strings.Contains(f.Details.Issue, ids[0]) {
			t.Errorf("%s file: got %+v, want an error for file_ids[0]", name, f)
		}
	}
	f := ann.post(chat, object{"message": "Look:", "file_ids": []string{words.ID, his.ID}}).want(t, 400).failure(t)
	if f.Details.Field != "file_ids[1]" {
		t.Errorf("got error %+v, want field file_ids[1]", f)
	}
	if h := ann.history(agent, "t"); len(h) != 0 {
		t.Errorf("the rejected message is stored: %+v", h)
	}
	// The conversation keeps the name of a deleted file.
	ann.do("DELETE", "/v1/files/"+words.ID, nil).want(t, 204)
	ann.chat(agent, "s", "Again?")
	if h := string(ann.get(chat+"/history?session_id=s").want(t, 200).body); !strings.Contains(h, "words.txt") {
		t.Errorf("got history %s, want words.txt", h)
	}
}

const localFiles = `
plugin "files" "local" {
  command = "files-local"
}
`

var fileID = regexp.MustCompile(`file-[0-9a-z]+`)

// fileCall returns a reply in which the model calls one of the tools for files.
func fileCall(n int, tool, arguments string) openaitest.Reply {
	return openaitest.Tools(openaitest.ToolCall{
		ID: fmt.Sprintf("call_%d", n), Name: "files__" + tool, Arguments: arguments,
	})
}

// newWriter creates an agent that may use the tools for files, and returns its id.
func (c *client) newWriter() string {
	c.t.Helper()
	r := c.post("/v1/agents/",
		object{"name": "a", "type": "chat", "config": object{"model": "gpt-4o", "tools": []string{"files__*"}}})
	return decode[struct{ ID string }](c.t, r.want(c.t, 201)).ID
}

// The model writes a file, lists its files, and reads it.
func TestFileTools(t *testing.T) {
	t.Parallel()
	var step atomic.Int64
	var id atomic.Value
	last := func(r *openaitest.Request) string { return string(r.Messages[len(r.Messages)-1].Content) }
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		switch step.Add(1) {
		case 1:
			if len(r.Tools) != 3 {
				t.Errorf("the model gets %d tools, want 3", len(r.Tools))
			}
			return fileCall(1, "write", `{"name":"../report.md","content":"# Report\nAll is well."}`)
		case 2:
			id.Store(fileID.FindString(last(r)))
			return fileCall(2, "list", "{}")
		case 3:
			if !strings.Contains(last(r), "report.md") {
				t.Errorf("files__list returns %s, want report.md", last(r))
			}
			return fileCall(3, "read", fmt.Sprintf(`{"file_id":%q,"offset":2}`, id.Load()))
		case 4:
			if !strings.Contains(last(r), "All is well.") {
				t.Errorf("files__read returns %s", last(r))
			}
			return fileCall(4, "read", `{"file_id":"file-0"}`)
		default:
			if !strings.Contains(last(r), "no file") {
				t.Errorf("files__read of an unknown file returns %s", last(r))
			}
			return openaitest.Text("It is written.")
		}
	}})
	s := start(t, pluginsHCL(base)+localFiles)
	c := s.signIn()
	other := c.upload("other.txt", []byte("not of this conversation"))
	reply := c.chat(c.newWriter(), "s", "Write a report")
	if reply.Message != "It is written." {
		t.Errorf("got answer %q", reply.Message)
	}
	files := c.files()
	if len(files) != 2 || files[1].ID != other.ID || files[0].ID != id.Load() || files[0].Name != "report.md" {
		t.Fatalf("got files %+v, the model got the id %v", files, id.Load())
	}
	if got := c.get("/v1/files/"+files[0].ID+"/download").want(t, 200); !bytes.Equal(got.body,
		[]byte("# Report\nAll is well.")) {
		t.Errorf("got content %s", got.body)
	}
	c.checkDownload(files[0])
}

// If the server is killed while a tool writes a file, the run continues and the file exists once.
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
			stream.readTokens(2) // after the write
		} else {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // a random moment is the point of the test
		}
		s.kill()
		stream.readAll()
		s.restart()
		h := c.history(agent, itoa(round))
		if len(h) == 0 {
			t.Fatal("the user's message is lost")
		}
		if r := c.waitRun(h[0].Metadata.RunID); r.Status != "completed" {
			t.Errorf("got run %+v, want completed", r)
		}
		files := c.files()
		if len(files) != round+1 {
			t.Fatalf("got %+v after %d runs, want one file for each", files, round+1)
		}
		c.checkDownload(files[0])
		if files[0].Size != 6_500 {
			t.Errorf("got file %+v, want 6500 bytes", files[0])
		}
	}
}
