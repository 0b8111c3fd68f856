package storagetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// keyedRecord returns the audit record of a request with an idempotency key.
func keyedRecord(action, userID, key string) *core.AuditRecord {
	r := auditRecord(action)
	r.Key = &core.IdempotencyKey{UserID: userID, Key: key, Hash: []byte{1}}
	return r
}

// wantRepeated fails the test unless err is a RepeatedRequest with the object.
func wantRepeated(t *testing.T, err error, object string) {
	t.Helper()
	var repeated *core.RepeatedRequest
	if !errors.As(err, &repeated) || repeated.Object != object {
		t.Fatalf("got error %v, want RepeatedRequest of %q", err, object)
	}
}

func testIdempotencyKey(t *testing.T, f *fixture) {
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	create := func(v core.Actor, key string, change ...func(*core.IdempotencyKey)) (string, error) {
		r := keyedRecord("create-agent", v.UserID, key)
		for _, c := range change {
			c(r.Key)
		}
		id := core.NewID("agent")
		r.SetTarget(id)
		return id, f.CreateAgent(f.ctx, r, &core.Agent{ID: id, Name: "a", Config: []byte("{}"), CreatedBy: v.UserID})
	}
	first, err := create(ada, "key")
	ok(t, err)
	_, err = create(ada, "key")
	wantRepeated(t, err, first)
	_, err = create(ada, "key", func(k *core.IdempotencyKey) { k.Hash = []byte{2} })
	var repeated *core.RepeatedRequest
	if !errors.As(err, &repeated) || !repeated.Different {
		t.Errorf("a different request with the key = %v, want RepeatedRequest with Different", err)
	}
	for _, v := range []core.Actor{ada, bob} { // another key, and another user
		_, err = create(v, "key-of-"+v.UserID)
		ok(t, err)
	}
	_, err = create(bob, "key")
	ok(t, err)
	_, total, err := f.Agents(f.ctx, ada, core.AgentFilter{})
	ok(t, err)
	same(t, "agents of ada", total, 2)

	for _, c := range []struct {
		key  string
		hash byte
		want *core.RepeatedRequest
	}{
		{"key", 1, &core.RepeatedRequest{Object: first}},
		{"key", 2, &core.RepeatedRequest{Object: first, Different: true}},
		{"other", 1, nil},
	} {
		got, err := f.FindKey(f.ctx, &core.IdempotencyKey{UserID: ada.UserID, Key: c.key, Hash: []byte{c.hash}})
		ok(t, err)
		same(t, "earlier request with "+c.key, got, c.want)
	}

	// A write that fails does not use its key, and an object of the key takes precedence over the target.
	r := keyedRecord("create-agent", ada.UserID, "again")
	wantCode(t, f.CreateAgent(f.ctx, r, &core.Agent{ID: first, Config: []byte("{}"), CreatedBy: ada.UserID}), core.CodeConflict)
	r = keyedRecord("chat", ada.UserID, "again")
	r.SetTarget(first)
	run := f.turn(&core.Agent{ID: first, Type: "chat"}, ada.UserID, "s")
	r.SetObject(run.Run.ID)
	ok(t, f.StartRun(f.ctx, r, run))
	again := &core.IdempotencyKey{UserID: ada.UserID, Key: "again", Hash: []byte{1}}
	wantRepeated(t, f.StoreKey(f.ctx, again), run.Run.ID)
	// The key of a busy session is found before the session is.
	r = keyedRecord("chat", ada.UserID, "again")
	wantRepeated(t, f.StartRun(f.ctx, r, f.turn(&core.Agent{ID: first, Type: "chat"}, ada.UserID, "s")), run.Run.ID)
	ok(t, f.StoreKey(f.ctx, &core.IdempotencyKey{UserID: ada.UserID, Key: "stored", Hash: []byte{1}, Object: "x"}))
	wantRepeated(t, f.StoreKey(f.ctx, &core.IdempotencyKey{UserID: ada.UserID, Key: "stored", Hash: []byte{1}}), "x")
}

// testIdempotencyKeyAtOnce checks that concurrent requests with one key make one change.
func testIdempotencyKeyAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var created, repeated atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := f.CreateTask(f.ctx, keyedRecord("create-task", v.UserID, "at once"), f.unstoredTask(a, v.UserID))
			var again *core.RepeatedRequest
			switch {
			case err == nil:
				created.Add(1)
			case errors.As(err, &again):
				repeated.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	same(t, "changes", created.Load(), int32(1))
	same(t, "repetitions", repeated.Load(), int32(7))
	_, total, err := f.Tasks(f.ctx, v, core.TaskFilter{})
	ok(t, err)
	same(t, "tasks", total, 1)
}

func testIdempotencyKeyExpired(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	v := f.user(t, "ada", core.RoleMember)
	for _, key := range []string{"a", "b", "c"} {
		ok(t, f.StoreKey(f.ctx, &core.IdempotencyKey{UserID: v.UserID, Key: key, Hash: []byte{1}}))
	}
	n, err := f.DeleteIdempotencyKeys(f.ctx, time.Now().Add(-time.Minute), 10)
	ok(t, err)
	same(t, "deleted new keys", n, 0)
	n, err = f.DeleteIdempotencyKeys(f.ctx, time.Now().Add(time.Minute), 2)
	ok(t, err)
	same(t, "deleted old keys", n, 2)
	newest, err := f.FindKey(f.ctx, &core.IdempotencyKey{UserID: v.UserID, Key: "c", Hash: []byte{1}})
	ok(t, err)
	same(t, "the newest key is left", newest, &core.RepeatedRequest{})
	f.deleteUser(t, core.UserDeletion{UserID: v.UserID, At: f.now})
	n, err = f.DeleteIdempotencyKeys(f.ctx, time.Now().Add(time.Minute), 10)
	ok(t, err)
	same(t, "keys of a deleted user", n, 0)
}
