package storagetest

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func testUser(t *testing.T, f *fixture) {
	// Times come back in UTC and microseconds, wherever they come from.
	berlin := time.FixedZone("CET", 3600)
	u := &core.User{
		ID: core.NewID("user"), Username: "Åsa Ōta 🚀", Email: "asa@example.com", Role: core.RoleViewer,
		PasswordHash: "$argon2id$'x\"", Disabled: true,
		CreatedAt: f.now.Add(789).In(berlin), UpdatedAt: f.at(1).In(berlin),
	}
	ok(t, f.CreateUser(f.ctx, u))
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

func testUserTaken(t *testing.T, f *fixture) {
	first := core.User{ID: "user-1", Username: "Zoë", Email: "zoe@example.com"}
	ok(t, f.CreateUser(f.ctx, &first))
	for name, u := range map[string]core.User{
		"name":              {ID: "user-2", Username: "Zoë"},
		"name in capitals":  {ID: "user-2", Username: "ZOË", Email: "other@example.com"},
		"email":             {ID: "user-2", Username: "Bob", Email: "zoe@example.com"},
		"email in capitals": {ID: "user-2", Username: "Bob", Email: "Zoe@Example.com"},
		"id":                {ID: "user-1", Username: "Bob", Email: "bob@example.com"},
	} {
		err := f.CreateUser(f.ctx, &u)
		if core.CodeOf(err) != core.CodeConflict {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
	}
	// An email is taken, to have none is not.
	ok(t, f.CreateUser(f.ctx, &core.User{ID: "user-3", Username: "Bob"}))
	ok(t, f.CreateUser(f.ctx, &core.User{ID: "user-4", Username: "Eve"}))
}

func testUserList(t *testing.T, f *fixture) {
	users, total, err := f.Users(f.ctx, core.Page{Limit: 10})
	ok(t, err)
	if len(users) != 0 || total != 0 {
		t.Fatalf("an empty database has %d users, total %d", len(users), total)
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
