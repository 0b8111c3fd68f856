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

// The server dies at random moments under writers, on both databases: every message
// and task that it acknowledged is there exactly once, and every run comes to an end.
func TestServerKilledAtRandom(t *testing.T) {
	t.Parallel()
	total := testenv.CrashRounds(t, 2, 20)
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := startAt(t, on)
		c := s.signIn()
		l := &recorder{client: c, agent: c.newAgent("echo")}
		for round := range total {
			if round > 0 && round%8 == 0 {
				l.client.token = s.signIn().token // it lasts for a quarter of an hour
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() { l.write(round, w, stop) })
			}
			moment := time.Duration(100+rand.IntN(900)) * time.Millisecond
			time.Sleep(moment) // the moment is what is tried
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

// wantSound looks into the database of a server that has ended: it is whole, and
// nothing is left in a state that is none of an end.
func (s *server) checkDatabase() {
	s.t.Helper()
	db := s.database()
	for _, left := range []string{
		`SELECT count(*) FROM runs WHERE status NOT IN ('completed', 'failed', 'cancelled', 'interrupted')`,
		`SELECT count(*) FROM runs WHERE ended_at = 0`,
		`SELECT count(*) FROM tasks WHERE status NOT IN ('completed', 'failed', 'cancelled')`,
		`SELECT count(*) FROM tasks WHERE run_id NOT IN (SELECT id FROM runs)`,
		`SELECT count(*) FROM runs WHERE answer_id <> '' AND answer_id NOT IN (SELECT id FROM messages)`,
		`SELECT count(*) FROM leases`,
	} {
		var n int
		if err := db.QueryRow(left).Scan(&n); err != nil || n != 0 {
			s.t.Errorf("%s gives %d, %v", left, n, err)
		}
	}
	if s.databaseURL != "" {
		return
	}
	var verdict string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		s.t.Errorf("the integrity check says %q, %v", verdict, err)
	}
}

// ledger is what the server has acknowledged.
type recorder struct {
	client *client
	agent  string

	mu sync.Mutex
	// said are the users' messages, by session.
	said [writers * sessions][]string
	// answers are texts by message id.
	answers [writers * sessions]map[string]string
	// tasks are titles by id.
	tasks map[string]string
}

func sessionName(i int) string { return fmt.Sprintf("session-%d", i) }

// write has turns, streamed and not, and makes tasks, until the server is gone.
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
				l.client.t.Errorf("status %d: %s", r.status, r.body)
			}
			time.Sleep(20 * time.Millisecond) // a run that was taken up is still under way
		}
	}
}

// chat gives the reply if it is a refusal.
func (l *recorder) chat(session int, message string) *reply {
	r, err := l.client.try("POST", "/v1/agents/"+l.agent+"/chat", object{"message": message, "session_id": sessionName(session)})
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

// task makes one, which nobody waits for.
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
	l.said[session] = append(l.said[session], message)
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
	said, answered := 0, 0
	for i := range l.said {
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
		for _, message := range l.said[i] {
			if n := count(users, message); n != 1 {
				t.Errorf("%q was acknowledged and is there %d times", message, n)
			}
		}
		for id, want := range l.answers[i] {
			if answers[id] != want {
				t.Errorf("the answer %s was %q, and is %q", id, want, answers[id])
			}
		}
		slices.Sort(users)
		if len(slices.Compact(slices.Clone(users))) != len(users) {
			t.Errorf("a message is there twice: %q", users)
		}
		said, answered = said+len(l.said[i]), answered+len(l.answers[i])
	}
	for id, title := range l.tasks {
		done := l.client.waitTask(id)
		if done.Status != "completed" || !strings.HasSuffix(done.Result.Message, " token-20") || done.Usage.OutputTokens != 20 {
			t.Errorf("the task %q became %+v", title, done)
		}
		if h := l.client.history(l.agent, id); len(h) != 2 {
			t.Errorf("the task %q has the messages %+v", title, h)
		}
	}
	t.Logf("%d messages, %d answers and %d tasks were acknowledged", said, answered, len(l.tasks))
	if answered == 0 || len(l.tasks) == 0 {
		t.Error("nothing was answered: the test tests nothing")
	}
}

var ends = []string{"completed", "failed", "cancelled", "interrupted"}

// checkRun waits for the end of a message's run, and wants a completed one to
// have the whole answer, once.
func (l *recorder) checkRun(t *testing.T, m message) {
	t.Helper()
	r := l.client.waitRun(m.Metadata.RunID)
	if !slices.Contains(ends, r.Status) {
		t.Errorf("run %s is %s", r.ID, r.Status)
	}
	if m.Role != "assistant" {
		return
	}
	if r.MessageID != m.ID || r.Status != "completed" || !strings.HasSuffix(m.Content, " token-20") || count(strings.Fields(m.Content), "token-1") != 1 {
		t.Errorf("run %+v has the answer %s %q", r, m.ID, m.Content)
	}
}

func count(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
