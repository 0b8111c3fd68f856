package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

const (
	writers = 4
	// sessions is the number of chat sessions of each writer.
	sessions = 3
)

// After kills at random moments during writes, every message and task that was acknowledged exists
// exactly once, and every run ends.
func TestServerKilledAtRandom(t *testing.T) {
	t.Parallel()
	total := testenv.CrashRounds(t, 2, 20)
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := startAt(t, on)
		c := s.signIn()
		l := &recorder{client: c, agent: c.newAgent("echo")}
		for round := range total {
			if round > 0 && round%8 == 0 {
				l.client.token = s.signIn().token // the access token expires
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() { l.write(round, w, stop) })
			}
			if round == 0 {
				eventually(t, "a first answer and task", l.hasBoth)
			}
			moment := time.Duration(rand.IntN(900)) * time.Millisecond
			time.Sleep(moment) // a random moment is the point of the test
			s.kill()
			close(stop)
			wg.Wait()
			t.Logf("round %d: killed after %s", round, moment)
			s.restart()
		}
		l.check(t)
		s.terminate()
		<-s.exited
		s.checkDatabase()
	})
}

// checkDatabase checks that the database of a stopped server is intact and that every run and task
// in it has ended.
func (s *server) checkDatabase() {
	s.t.Helper()
	db := s.database()
	for _, query := range []string{
		`SELECT count(*) FROM runs WHERE status NOT IN ('completed', 'failed', 'cancelled', 'interrupted')`,
		`SELECT count(*) FROM runs WHERE ended_at = 0`,
		`SELECT count(*) FROM tasks WHERE status NOT IN ('completed', 'failed', 'cancelled')`,
		`SELECT count(*) FROM tasks WHERE run_id NOT IN (SELECT id FROM runs)`,
		`SELECT count(*) FROM runs WHERE answer_id <> '' AND answer_id NOT IN (SELECT id FROM messages)`,
		`SELECT count(*) FROM leases`,
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			s.t.Errorf("%s returns %d (%v), want 0", query, n, err)
		}
	}
	if s.databaseURL != "" {
		return
	}
	var verdict string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		s.t.Errorf("the integrity check returns %q (%v), want ok", verdict, err)
	}
}

// recorder writes to the server concurrently and records the acknowledged writes.
type recorder struct {
	client *client
	agent  string

	mu sync.Mutex
	// messages are the users' messages, by session.
	messages [writers * sessions][]string
	// answers are texts by message id, by session.
	answers [writers * sessions]map[string]string
	// tasks are titles by id.
	tasks map[string]string
}

// hasBoth reports whether at least one answer and one task were acknowledged.
func (l *recorder) hasBoth() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	answered := slices.ContainsFunc(l.answers[:], func(a map[string]string) bool { return len(a) > 0 })
	return answered && len(l.tasks) > 0
}

func sessionName(i int) string { return fmt.Sprintf("session-%d", i) }

// write has turns, streamed and not, and creates tasks, until stop is closed.
func (l *recorder) write(round, writer int, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		session := writer*sessions + n%sessions
		message := fmt.Sprintf("/tokens 20 /delay 2ms of writer %d in round %d: %d", writer, round, n)
		turn := []func(int, string) *reply{l.stream, l.chat, l.task}[n%3]
		if r := turn(session, message); r != nil {
			if r.status != 409 {
				l.client.t.Errorf("got status %d, want success or 409: %s", r.status, r.body)
			}
			time.Sleep(20 * time.Millisecond) // a run that was resumed is still running
		}
	}
}

// chat has one turn. It returns the reply if the server has refused it.
func (l *recorder) chat(session int, message string) *reply {
	r, err := l.client.try("POST", "/v1/agents/"+l.agent+"/chat",
		object{"message": message, "session_id": sessionName(session)})
	switch {
	case err != nil:
		return nil // not acknowledged
	case r.status != 200:
		return r
	}
	answer := decode[chatReply](l.client.t, r)
	l.acknowledge(session, message, answer.ID, answer.Message)
	return nil
}

// stream is chat with a streamed answer.
func (l *recorder) stream(session int, message string) *reply {
	s, r, err := l.client.tryStream("POST", "/v1/agents/"+l.agent+"/chat",
		object{"message": message, "session_id": sessionName(session), "stream": true})
	if err != nil || r != nil {
		return r
	}
	defer s.close()
	if end := s.readAll(); end.Type == "end" {
		l.acknowledge(session, message, end.MessageID, messageText(s.seen))
	} else if len(s.seen) > 0 {
		l.acknowledge(session, message, "", "")
	}
	return nil
}

// task creates a task and does not wait for it.
func (l *recorder) task(_ int, title string) *reply {
	r, err := l.client.try("POST", "/v1/tasks/", taskBody(l.agent, title), "Idempotency-Key: "+title)
	switch {
	case err != nil:
		return nil
	case r.status != 201:
		return r
	}
	made := decode[task](l.client.t, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tasks == nil {
		l.tasks = map[string]string{}
	}
	l.tasks[made.ID] = title
	return nil
}

func (l *recorder) acknowledge(session int, message, answerID, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages[session] = append(l.messages[session], message)
	if answerID == "" {
		return
	}
	if l.answers[session] == nil {
		l.answers[session] = map[string]string{}
	}
	l.answers[session][answerID] = answer
}

func (l *recorder) check(t *testing.T) {
	t.Helper()
	sent, answered := 0, 0
	for i := range l.messages {
		for _, m := range l.client.history(l.agent, sessionName(i)) {
			l.checkRun(t, m)
		}
		h := l.client.history(l.agent, sessionName(i))
		var users []string
		answers := map[string]string{}
		for _, m := range h {
			if m.Role == "user" {
				users = append(users, m.Content)
			} else {
				answers[m.ID] = m.Content
			}
		}
		for _, message := range l.messages[i] {
			if n := count(users, message); n != 1 {
				t.Errorf("%q was acknowledged and exists %d times, want once", message, n)
			}
		}
		for id, want := range l.answers[i] {
			if answers[id] != want {
				t.Errorf("got answer %s %q, want %q", id, answers[id], want)
			}
		}
		slices.Sort(users)
		if len(slices.Compact(slices.Clone(users))) != len(users) {
			t.Errorf("a message exists twice: %q", users)
		}
		sent, answered = sent+len(l.messages[i]), answered+len(l.answers[i])
	}
	for id, title := range l.tasks {
		done := l.client.waitTask(id)
		if done.Status != "completed" || !strings.HasSuffix(done.Result.Message, " token-20") ||
			done.Usage.OutputTokens != 20 {
			t.Errorf("got task %+v, want %q completed with 20 tokens", done, title)
		}
		if h := l.client.history(l.agent, id); len(h) != 2 {
			t.Errorf("got messages %+v of task %q, want 2", h, title)
		}
	}
	t.Logf("%d messages, %d answers and %d tasks were acknowledged", sent, answered, len(l.tasks))
	if answered == 0 || len(l.tasks) == 0 {
		t.Error("no answer or no task was acknowledged: the test proves nothing")
	}
}

var ends = []string{"completed", "failed", "cancelled", "interrupted"}

// checkRun waits until the message's run has ended, and checks that a completed run has the complete
// answer once.
func (l *recorder) checkRun(t *testing.T, m message) {
	t.Helper()
	r := l.client.waitRun(m.Metadata.RunID)
	if !slices.Contains(ends, r.Status) {
		t.Errorf("got status %s of run %s, want an end", r.Status, r.ID)
	}
	if m.Role != "assistant" {
		return
	}
	if r.MessageID != m.ID || r.Status != "completed" || !strings.HasSuffix(m.Content, " token-20") ||
		count(strings.Fields(m.Content), "token-1") != 1 {
		t.Errorf("got run %+v with answer %s %q", r, m.ID, m.Content)
	}
}

// count returns the number of times that one is in all.
func count(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
