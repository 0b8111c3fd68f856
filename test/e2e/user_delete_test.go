package e2e_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestUserDeletion checks that the export of a user has everything, and that a deletion leaves nothing for
// others: no objects, no WebSocket messages, and no access.
func TestUserDeletion(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		admin := s.signIn()
		gone, heir := s.newUser(admin, "gone", "member"), s.newUser(admin, "heir", "member")
		id := func(c *client) string { return decode[struct{ ID string }](t, c.get("/v1/auth/me").want(t, 200)).ID }
		goneID, heirID := id(gone), id(heir)
		agent := gone.newAgent("echo")
		gone.do("PATCH", "/v1/agents/"+agent, object{"shared": true}).want(t, 200)
		gone.chat(agent, "s", "secret of the chat")
		work := gone.newTask(agent, "secret of the task")
		gone.waitTask(work.ID)
		file := gone.upload("secret.txt", []byte("secret of the file"))

		heir.get("/v1/users/"+goneID+"/export").want(t, 404)
		archive := unzip(t, gone.get("/v1/users/"+goneID+"/export").want(t, 200).body)
		for name, text := range map[string]string{
			"user.jsonl": goneID, "agents.jsonl": agent,
			"messages.jsonl": "secret of the chat", "tasks.jsonl": "secret of the task",
			"events.jsonl": "secret of the chat", "notifications.jsonl": "secret of the task", "runs.jsonl": work.ID,
			"files/" + file.ID + "/secret.txt": "secret of the file",
		} {
			if !strings.Contains(archive[name], text) {
				t.Errorf("%s in the export is %.300q, want it to contain %q", name, archive[name], text)
			}
		}

		busy := gone.newTask(agent, "/tokens 10000 /delay 10ms")
		var runID string
		eventually(t, "a run", func() bool { runID = gone.task(busy.ID).RunID; return runID != "" })
		path := "/v1/users/" + goneID
		if f := admin.do("DELETE", path+"?objects=erase", nil).want(t, 409).failure(t); !strings.Contains(f.Message, runID) {
			t.Errorf("got error %+v, want it to name %s", f, runID)
		}
		gone.post("/v1/tasks/"+busy.ID+"/cancel", nil).want(t, 200)
		heir.do("DELETE", path+"?objects=erase", nil).want(t, 403)
		admin.do("DELETE", path, nil).want(t, 400)
		admin.do("DELETE", path+"?objects=erase", nil).want(t, 204)

		gone.get("/v1/auth/me").want(t, 401)
		for _, p := range []string{
			path, path + "/export", "/v1/agents/" + agent, "/v1/tasks/" + work.ID, "/v1/files/" + file.ID, "/v1/runs/" + runID,
		} {
			admin.get(p).want(t, 404)
		}
		admin.do("DELETE", path+"?objects=erase", nil).want(t, 404)

		// A transferred chat belongs to the heir.
		second := s.newUser(admin, "second", "member")
		mine := second.newAgent("echo")
		second.chat(mine, "s", "Good day")
		admin.do("DELETE", "/v1/users/"+id(second)+"?objects=transfer&to="+heirID, nil).want(t, 204)
		if h := heir.history(mine, "s"); len(h) != 2 || h[0].Content != "Good day" {
			t.Errorf("the new owner sees %+v, want the transferred chat", h)
		}
	})
}

// unzip returns the contents of an archive by name.
func unzip(t *testing.T, data []byte) map[string]string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		contents[f.Name] = string(content)
	}
	return contents
}
