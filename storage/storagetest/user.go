package storagetest

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func testUser(t *testing.T, f *fixture) {
	// Times are stored in UTC with microseconds.
	berlin := time.FixedZone("CET", 3600)
	u := &core.User{
		ID: core.NewID("user"), Username: "Åsa Ōta 🚀", Email: "asa@example.com", Role: core.RoleViewer,
		PasswordHash: "$argon2id$'x\"", Disabled: true,
		CreatedAt: f.now.Add(789).In(berlin), UpdatedAt: f.at(1).In(berlin),
	}
	ok(t, f.CreateUser(f.ctx, nil, u))
	want := *u
	want.CreatedAt, want.UpdatedAt = f.now, f.at(1)

	got, err := f.User(f.ctx, u.ID)
	ok(t, err)
	same(t, "User", got, &want)
	for _, name := range []string{u.Username, "åsa ōTA 🚀", "ÅSA ŌTA 🚀"} {
		got, err = f.UserByName(f.ctx, name)
		ok(t, err)
		same(t, "UserByName "+name, got, &want)
	}

	_, err = f.User(f.ctx, "user-none")
	wantCode(t, err, core.CodeNotFound)
	_, err = f.UserByName(f.ctx, "asa ota")
	wantCode(t, err, core.CodeNotFound)
}

func testUserConflict(t *testing.T, f *fixture) {
	first := core.User{ID: "user-1", Username: "Zoë", Email: "zoe@example.com"}
	ok(t, f.CreateUser(f.ctx, nil, &first))
	for name, u := range map[string]core.User{
		"name":              {ID: "user-2", Username: "Zoë"},
		"name in capitals":  {ID: "user-2", Username: "ZOË", Email: "other@example.com"},
		"email":             {ID: "user-2", Username: "Bob", Email: "zoe@example.com"},
		"email in capitals": {ID: "user-2", Username: "Bob", Email: "Zoe@Example.com"},
		"id":                {ID: "user-1", Username: "Bob", Email: "bob@example.com"},
	} {
		err := f.CreateUser(f.ctx, nil, &u)
		if core.CodeOf(err) != core.CodeConflict {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
	}
	// Several users can have no email.
	ok(t, f.CreateUser(f.ctx, nil, &core.User{ID: "user-3", Username: "Bob"}))
	ok(t, f.CreateUser(f.ctx, nil, &core.User{ID: "user-4", Username: "Eve"}))
}

func testUserList(t *testing.T, f *fixture) {
	users, total, err := f.Users(f.ctx, core.Page{Limit: 10})
	ok(t, err)
	if len(users) != 0 || total != 0 {
		t.Fatalf("empty database: got %d users, total %d, want 0", len(users), total)
	}
	for _, name := range []string{"carol", "Bob", "alice", "Dave"} {
		f.user(t, name, core.RoleMember)
	}
	for _, c := range []struct {
		page core.Page
		want []string
	}{
		{core.Page{Limit: 10}, []string{"alice", "Bob", "carol", "Dave"}},
		{core.Page{Limit: 2, Offset: 1}, []string{"Bob", "carol"}},
		{core.Page{Limit: 2, Offset: 3}, []string{"Dave"}},
		{core.Page{Limit: 2, Offset: 4}, nil},
		{core.Page{}, nil},
	} {
		users, total, err := f.Users(f.ctx, c.page)
		ok(t, err)
		var names []string
		for _, u := range users {
			names = append(names, u.Username)
		}
		same(t, "names", names, c.want)
		same(t, "total", total, 4)
	}
}

func testUserUpdate(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	v := f.user(t, "ada", core.RoleMember)
	bob := f.user(t, "bob", core.RoleMember)
	was, err := f.User(f.ctx, v.UserID)
	ok(t, err)

	got, err := f.UpdateUser(f.ctx, nil, v.UserID, core.UserUpdate{Role: new(core.RoleViewer), At: f.at(5)})
	ok(t, err)
	want := *was
	want.Role, want.UpdatedAt = core.RoleViewer, f.at(5)
	same(t, "UpdateUser", got, &want)

	want.Email, want.Disabled, want.PasswordHash, want.UpdatedAt = "Ada@Elsewhere.example", true, "$other", f.at(6)
	got, err = f.UpdateUser(f.ctx, nil, v.UserID, core.UserUpdate{
		Email: &want.Email, Disabled: &want.Disabled, PasswordHash: &want.PasswordHash, At: f.at(6),
	})
	ok(t, err)
	same(t, "UpdateUser", got, &want)
	got, err = f.User(f.ctx, v.UserID)
	ok(t, err)
	same(t, "User", got, &want)

	// A user can keep the own email but not take another user's.
	_, err = f.UpdateUser(f.ctx, nil, v.UserID, core.UserUpdate{Email: new("ADA@elsewhere.example"), At: f.at(7)})
	ok(t, err)
	_, err = f.UpdateUser(f.ctx, nil, bob.UserID, core.UserUpdate{Email: new("ada@ELSEWHERE.example"), At: f.at(8)})
	wantCode(t, err, core.CodeConflict)
	_, err = f.UpdateUser(f.ctx, nil, "user-none", core.UserUpdate{Disabled: new(true)})
	wantCode(t, err, core.CodeNotFound)
}

// testUserLastAdmin checks that one enabled admin always remains.
func testUserLastAdmin(t *testing.T, f *fixture) {
	one, two := f.user(t, "one", core.RoleAdmin), f.user(t, "two", core.RoleAdmin)
	outcomes := make(chan error, 2)
	for _, v := range []core.Actor{one, two} {
		go func() {
			_, err := f.UpdateUser(f.ctx, nil, v.UserID, core.UserUpdate{Role: new(core.RoleMember), At: f.at(1)})
			outcomes <- err
		}()
	}
	first, second := <-outcomes, <-outcomes
	if (first == nil) == (second == nil) {
		t.Fatalf("two admins resign concurrently: got errors %v and %v, want one", first, second)
	}
	left := one
	if u, err := f.User(f.ctx, one.UserID); err != nil || u.Role != core.RoleAdmin {
		left = two
	}
	_, err := f.UpdateUser(f.ctx, nil, left.UserID, core.UserUpdate{Disabled: new(true), At: f.at(2)})
	wantCode(t, err, core.CodeConflict)
	u, err := f.User(f.ctx, left.UserID)
	ok(t, err)
	if u.Disabled || u.Role != core.RoleAdmin {
		t.Errorf("last admin = %+v, want it enabled", u)
	}
}

func testUserEndLogins(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	kept, ended, others := f.login(t, v), f.login(t, v), f.login(t, other)
	_, err := f.UpdateUser(f.ctx, nil, v.UserID, core.UserUpdate{EndLogins: true, KeepLogin: kept.ID, At: f.at(3)})
	ok(t, err)
	for id, want := range map[string]time.Time{kept.ID: {}, ended.ID: f.at(3), others.ID: {}} {
		l, err := f.Login(f.ctx, id)
		ok(t, err)
		if !l.EndedAt.Equal(want) {
			t.Errorf("login %s ended at %v, want %v", id, l.EndedAt, want)
		}
	}
}
