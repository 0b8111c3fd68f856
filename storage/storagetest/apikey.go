package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func (f *fixture) apiKey(t *testing.T, v core.Actor, name string) *core.APIKey {
	t.Helper()
	k := &core.APIKey{
		ID: core.NewID("key"), UserID: v.UserID, Name: name, Scopes: []core.Scope{"agents:read", "chat:write"},
		Hash: []byte{0, 1, 0xff}, CreatedAt: f.now, ExpiresAt: f.now.Add(time.Hour),
	}
	ok(t, f.CreateAPIKey(f.ctx, nil, k))
	return k
}

func testAPIKey(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	k := f.apiKey(t, v, "ci")
	got, err := f.APIKey(f.ctx, v, k.ID)
	ok(t, err)
	same(t, "APIKey", got, k)

	// A late update with an earlier time changes nothing.
	for _, at := range []time.Time{f.at(9), f.at(3)} {
		ok(t, f.SetAPIKeyLastUsed(f.ctx, k.ID, at))
	}
	k.LastUsedAt = f.at(9)
	got, err = f.APIKey(f.ctx, v, k.ID)
	ok(t, err)
	same(t, "APIKey", got, k)

	ok(t, f.DeleteAPIKey(f.ctx, nil, v, k.ID))
	_, err = f.APIKey(f.ctx, v, k.ID)
	wantCode(t, err, core.CodeNotFound)
	wantCode(t, f.DeleteAPIKey(f.ctx, nil, v, k.ID), core.CodeNotFound)
	ok(t, f.SetAPIKeyLastUsed(f.ctx, k.ID, f.at(10)))
}

func testAPIKeyConflict(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	first := f.apiKey(t, v, "ci")
	again := *first
	again.ID = core.NewID("key")
	wantCode(t, f.CreateAPIKey(f.ctx, nil, &again), core.CodeConflict)
	f.apiKey(t, other, "ci")
	again.Name = "another"
	ok(t, f.CreateAPIKey(f.ctx, nil, &again))
}

func (f *fixture) childKey(t *testing.T, parent *core.APIKey, name string) *core.APIKey {
	t.Helper()
	k := *parent
	k.ID, k.Name, k.ParentID = core.NewID("key"), name, parent.ID
	ok(t, f.CreateAPIKey(f.ctx, nil, &k))
	return &k
}

func testAPIKeyChildren(t *testing.T, f *fixture) {
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	parent, sibling := f.apiKey(t, ada, "parent"), f.apiKey(t, ada, "sibling")
	child := f.childKey(t, parent, "child")
	grandchild, nephew := f.childKey(t, child, "grandchild"), f.childKey(t, sibling, "nephew")
	got, err := f.APIKey(f.ctx, ada, child.ID)
	ok(t, err)
	same(t, "APIKey", got, child)

	wantCode(t, f.DeleteAPIKey(f.ctx, nil, bob, parent.ID), core.CodeNotFound)
	ok(t, f.DeleteAPIKey(f.ctx, nil, ada, parent.ID))
	for _, k := range []*core.APIKey{parent, child, grandchild} {
		_, err := f.APIKey(f.ctx, ada, k.ID)
		wantCode(t, err, core.CodeNotFound)
	}
	for _, k := range []*core.APIKey{sibling, nephew} {
		_, err := f.APIKey(f.ctx, ada, k.ID)
		ok(t, err)
	}
	// A deleted key, or a key of another user, is no parent.
	for _, id := range []string{parent.ID, f.apiKey(t, bob, "his").ID} {
		late := *child
		late.ParentID = id
		wantCode(t, f.CreateAPIKey(f.ctx, nil, &late), core.CodeNotFound)
	}
}

func testUserEndKeys(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	key, his, login := f.apiKey(t, ada, "ci"), f.apiKey(t, bob, "ci"), f.login(t, ada)
	child := f.childKey(t, key, "child")
	_, err := f.UpdateUser(f.ctx, nil, ada.UserID, core.UserUpdate{EndKeys: true, At: f.at(3)})
	ok(t, err)
	for _, id := range []string{key.ID, child.ID} {
		_, err = f.APIKey(f.ctx, ada, id)
		wantCode(t, err, core.CodeNotFound)
	}
	_, err = f.APIKey(f.ctx, bob, his.ID)
	ok(t, err)
	got, err := f.Login(f.ctx, login.ID)
	ok(t, err)
	same(t, "Login", got, login)
}

func testAPIKeyVisibility(t *testing.T, f *fixture) {
	ada, bob, root := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember), f.user(t, "root",
		core.RoleAdmin)
	old, k, his := f.apiKey(t, ada, "old"), f.apiKey(t, ada, "new"), f.apiKey(t, bob, "his")
	_, err := f.APIKey(f.ctx, bob, k.ID)
	wantCode(t, err, core.CodeNotFound)
	wantCode(t, f.DeleteAPIKey(f.ctx, nil, bob, k.ID), core.CodeNotFound)
	for _, c := range []struct {
		v      core.Actor
		userID string
		want   []string
	}{
		{ada, ada.UserID, []string{k.ID, old.ID}},
		{ada, "", []string{k.ID, old.ID}},
		{bob, ada.UserID, nil},
		{root, ada.UserID, []string{k.ID, old.ID}},
		{root, "", []string{his.ID, k.ID, old.ID}},
	} {
		keys, total, err := f.APIKeys(f.ctx, c.v, c.userID, core.Page{Limit: 10})
		ok(t, err)
		var ids []string
		for _, k := range keys {
			ids = append(ids, k.ID)
		}
		same(t, fmt.Sprintf("keys of %q", c.userID), ids, c.want)
		if total != len(c.want) {
			t.Errorf("APIKeys: total %d, want %d", total, len(c.want))
		}
	}
	ok(t, f.DeleteAPIKey(f.ctx, nil, root, k.ID))
}
