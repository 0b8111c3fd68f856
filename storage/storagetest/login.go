package storagetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func (f *fixture) login(t *testing.T, v core.Actor, change ...func(*core.Login)) *core.Login {
	t.Helper()
	l := &core.Login{
		ID: core.NewID("login"), UserID: v.UserID, RefreshHash: []byte{0, 1, 0xff},
		RotatedAt: f.now, CreatedAt: f.now, ExpiresAt: f.now.Add(time.Hour),
	}
	for _, c := range change {
		c(l)
	}
	ok(t, f.CreateLogin(f.ctx, nil, l))
	return l
}

func testLogin(t *testing.T, f *fixture) {
	l := f.login(t, f.user(t, "ada", core.RoleMember))
	got, err := f.Login(f.ctx, l.ID)
	ok(t, err)
	same(t, "Login", got, l)

	_, err = f.Login(f.ctx, "login-none")
	wantCode(t, err, core.CodeNotFound)
	wantCode(t, f.CreateLogin(f.ctx, nil, l), core.CodeConflict)
	wantCode(t, f.CreateLogin(f.ctx, nil, &core.Login{
		ID: "login-1", UserID: "user-none", RefreshHash: []byte{1},
	}), core.CodeNotFound)
}

func testLoginRotate(t *testing.T, f *fixture) {
	l := f.login(t, f.user(t, "ada", core.RoleMember))
	var won atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			next := *l
			next.Generation, next.RefreshHash = 1, fmt.Append(nil, "hash", i)
			next.RotatedAt, next.ExpiresAt = f.at(i), f.at(i+1000)
			next.UserID, next.CreatedAt = "not stored", f.at(9)
			switch err := f.RotateLogin(f.ctx, nil, &next); {
			case err == nil:
				won.Add(1)
				next.UserID, next.CreatedAt = l.UserID, l.CreatedAt
				winner.Store(&next)
			case core.CodeOf(err) != core.CodeConflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, "winners of 50", won.Load(), int32(1))
	got, err := f.Login(f.ctx, l.ID)
	ok(t, err)
	same(t, "Login", got, winner.Load())

	skipped := *got
	skipped.Generation = 3
	wantCode(t, f.RotateLogin(f.ctx, nil, &skipped), core.CodeConflict)
	missing := core.Login{ID: "login-none", Generation: 1}
	wantCode(t, f.RotateLogin(f.ctx, nil, &missing), core.CodeConflict)
}

func testLoginEnd(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	l, other := f.login(t, v), f.login(t, v)
	ok(t, f.EndLogin(f.ctx, nil, l.ID, f.at(5)))
	ok(t, f.EndLogin(f.ctx, nil, l.ID, f.at(9))) // the login has already ended, so EndedAt does not change
	got, err := f.Login(f.ctx, l.ID)
	ok(t, err)
	same(t, "EndedAt", got.EndedAt, f.at(5))

	l.Generation = 1
	wantCode(t, f.RotateLogin(f.ctx, nil, l), core.CodeConflict)
	got, err = f.Login(f.ctx, other.ID)
	ok(t, err)
	same(t, "another login", got, other)
	ok(t, f.EndLogin(f.ctx, nil, "login-none", f.now))
}

func testLoginDelete(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	expires := func(at time.Time) func(*core.Login) { return func(l *core.Login) { l.ExpiresAt = at } }
	live := f.login(t, v)
	onTime := f.login(t, v, expires(f.now))
	endedNow := f.login(t, v)
	ok(t, f.EndLogin(f.ctx, nil, endedNow.ID, f.now))
	var old []*core.Login
	for range 3 {
		old = append(old, f.login(t, v, expires(f.at(-1))))
		ended := f.login(t, v)
		ok(t, f.EndLogin(f.ctx, nil, ended.ID, f.at(-1)))
		old = append(old, ended)
	}
	for _, want := range []int{4, 2, 0} {
		n, err := f.DeleteLogins(f.ctx, f.now, 4)
		ok(t, err)
		same(t, "deleted", n, want)
	}
	for _, l := range old {
		_, err := f.Login(f.ctx, l.ID)
		wantCode(t, err, core.CodeNotFound)
	}
	for _, l := range []*core.Login{live, onTime, endedNow} {
		_, err := f.Login(f.ctx, l.ID)
		ok(t, err)
	}
}
