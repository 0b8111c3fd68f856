package e2e_test

import (
	"strings"
	"testing"
)

type storageUsage struct {
	Database, Files struct {
		Used  int64 `json:"used_bytes"`
		Limit int64 `json:"limit_bytes"`
	}
}

// storage returns the storage used. query is empty or selects a user.
func (c *client) storage(query string) storageUsage {
	c.t.Helper()
	return decode[storageUsage](c.t, c.get("/v1/usage/storage"+query).want(c.t, 200))
}

// wantDataLimit fails the test unless the reply refuses to store more in the database.
func wantDataLimit(t *testing.T, what string, r *reply) {
	t.Helper()
	f := r.want(t, 413).failure(t)
	for _, word := range []string{"409600 bytes", "They use ", "Delete", "--max-user-data"} {
		if f.Code != "PAYLOAD_TOO_LARGE" || !strings.Contains(f.Message, word) {
			t.Errorf("%s beyond the limit: got %+v, want PAYLOAD_TOO_LARGE with %q", what, f, word)
		}
	}
}

// TestDataLimit fills the database quota of a user with a session, and frees it again.
func TestDataLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.args = append(s.args, "--max-user-data", "400KiB", "--max-user-storage", "1MiB")
	s.start()
	admin := s.signIn()
	ann, bob := s.newUser(admin, "ann", "member"), s.newUser(admin, "bob", "member")
	agent := ann.newAgent("echo")
	ann.upload("a.txt", []byte("twelve bytes"))
	ann.newTask(agent, "before")
	text := strings.Repeat("word ", 3000)

	turn := ann.startTurn(agent, "active", "/tokens 10000 /delay 10ms")
	turn.readTokens(1)
	active := turn.first().RunID
	for turns := 0; ; turns++ {
		r := ann.post("/v1/agents/"+agent+"/chat", object{"message": text, "session_id": "long"})
		if r.status == 413 {
			wantDataLimit(t, "a turn", r)
			break
		}
		r.want(t, 200)
		if turns > 30 {
			t.Fatal("30 turns with 15 KB have not reached the limit of 400 KiB")
		}
	}
	data := object{"data": object{"text": strings.Repeat("x", 100_000)}}
	wantDataLimit(t, "a task", ann.post("/v1/tasks/", taskBody(agent, "a task", data)))
	larger := object{"config": object{"model": "echo", "system_prompt": strings.Repeat("x", 150_000)}}
	wantDataLimit(t, "a larger agent", ann.do("PATCH", "/v1/agents/"+agent, larger))
	used := ann.storage("")
	if used.Database.Used < 300<<10 || used.Database.Limit != 400<<10 ||
		used.Files.Used != 12 || used.Files.Limit != 1<<20 {
		t.Errorf("got storage %+v, want nearly 400 KiB of 400 KiB, and 12 bytes of 1 MiB", used)
	}
	if seen := admin.storage("?user_id=" + s.userID(ann)); seen.Files != used.Files {
		t.Errorf("an admin sees %+v, want %+v", seen, used)
	}
	bob.get("/v1/usage/storage?user_id="+s.userID(ann)).want(t, 403)
	bob.chat(bob.newAgent("echo"), "his", text) // other users are not affected
	ann.post("/v1/runs/"+active+"/cancel", nil).want(t, 200)
	if r := ann.waitRun(active); r.Status != "cancelled" {
		t.Errorf("got run %+v of the turn in progress, want it cancelled and not failed", r)
	}

	ann.do("DELETE", "/v1/agents/"+agent+"/sessions/long", nil).want(t, 204)
	ann.chat(agent, "long", text)
	if now := ann.storage(""); now.Database.Used > used.Database.Used/2 {
		t.Errorf("got storage %+v after the deletion of the session, and %+v before it", now, used)
	}
	ann.do("PATCH", "/v1/agents/"+agent, larger).want(t, 200)
}
