package accounts

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/limit"
)

// testEnv is the API over the real authentication and a store in memory, with the users of apitest.
type testEnv struct {
	*apitest.Server
	*store
	auth *auth.Auth
	data *userData
}

func newEnv(t *testing.T) *testEnv {
	t.Helper()
	w := &store{users: map[string]*core.User{}, logins: map[string]*core.Login{}, keys: map[string]*core.APIKey{}}
	authn, err := auth.New(auth.Options{
		Users: w, Logins: w, Keys: w, Secret: []byte(strings.Repeat("s", 32)),
		Rates: limit.NewMemory(nil), AddressAttempts: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	env := &testEnv{
		Server: apitest.New(t, func(o *api.Options) { o.Auth = authn }), store: w, auth: authn, data: &userData{},
	}
	Register(env.API,
		Options{Logins: authn, UserManager: authn, Users: w, KeyManager: authn, Keys: w, Audit: w, UserData: env.data})
	for name, role := range map[string]core.Role{
		"root": core.RoleAdmin, "ann": core.RoleMember, "bob": core.RoleMember, "eve": core.RoleViewer,
	} {
		env.addUser(t, name, role)
	}
	return env
}

// addUser adds a user with a login, without the cost of hashing a password.
func (env *testEnv) addUser(t *testing.T, name string, role core.Role) {
	t.Helper()
	now := time.Now()
	env.users["user-"+name] = &core.User{
		ID: "user-" + name, Username: name, Email: name + "@example.com", Role: role, CreatedAt: now,
	}
	env.logins["login-"+name] = &core.Login{
		ID: "login-" + name, UserID: "user-" + name, Generation: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	tokens, err := env.auth.Renew(t.Context(), "login-"+name)
	if err != nil {
		t.Fatal(err)
	}
	env.Tokens[name] = tokens.Access
}

// store keeps users, logins and API keys in memory.
type store struct {
	mu     sync.Mutex
	users  map[string]*core.User
	logins map[string]*core.Login
	keys   map[string]*core.APIKey
	// auditFilter is that of the last list of the audit log.
	auditFilter core.AuditFilter
}

func (w *store) CreateUser(_ context.Context, audit *core.AuditRecord, u *core.User) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, have := range w.users {
		if strings.EqualFold(have.Username, u.Username) || have.Email == u.Email {
			return core.Conflict("The username or email is taken")
		}
	}
	c := *u
	w.users[u.ID] = &c
	audit.Claim()
	return nil
}

func (w *store) User(_ context.Context, id string) (*core.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.users[id]; u != nil {
		c := *u
		return &c, nil
	}
	return nil, core.NotFound("user", id)
}

func (w *store) UserByName(_ context.Context, name string) (*core.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		if strings.EqualFold(u.Username, name) {
			c := *u
			return &c, nil
		}
	}
	return nil, core.NotFound("user", name)
}

func (w *store) Users(_ context.Context, p core.Page) ([]*core.User, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*core.User, 0, len(w.users))
	for _, u := range w.users {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *core.User) int { return strings.Compare(a.Username, b.Username) })
	return apitest.Page(all, p), len(all), nil
}

func (w *store) UpdateUser(
	_ context.Context, audit *core.AuditRecord, id string, up core.UserUpdate,
) (*core.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[id]
	if u == nil {
		return nil, core.NotFound("user", id)
	}
	if up.Role != nil {
		u.Role = *up.Role
	}
	if up.Disabled != nil {
		u.Disabled = *up.Disabled
	}
	if up.PasswordHash != nil {
		u.PasswordHash = *up.PasswordHash
	}
	for _, l := range w.logins {
		if up.EndLogins && l.UserID == id && l.ID != up.KeepLogin {
			l.EndedAt = up.At
		}
	}
	for id, k := range w.keys {
		if up.EndKeys && k.UserID == u.ID {
			delete(w.keys, id)
		}
	}
	audit.Claim()
	c := *u
	return &c, nil
}

func (w *store) CreateAPIKey(_ context.Context, audit *core.AuditRecord, k *core.APIKey) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, have := range w.keys {
		if have.UserID == k.UserID && have.Name == k.Name {
			return core.Conflict("You have an API key with this name")
		}
	}
	c := *k
	w.keys[k.ID] = &c
	audit.Claim()
	return nil
}

func (w *store) APIKey(_ context.Context, v core.Actor, id string) (*core.APIKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.keys[id]; k != nil && (v.Admin() || k.UserID == v.UserID) {
		c := *k
		return &c, nil
	}
	return nil, core.NotFound("API key", id)
}

func (w *store) APIKeys(_ context.Context, v core.Actor, userID string, p core.Page) ([]*core.APIKey, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*core.APIKey
	for _, k := range w.keys {
		if (v.Admin() || k.UserID == v.UserID) && (userID == "" || k.UserID == userID) {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b *core.APIKey) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, p), len(found), nil
}

func (w *store) DeleteAPIKey(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	if _, err := w.APIKey(ctx, v, id); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.keys, id)
	for child, k := range w.keys {
		if k.ParentID == id {
			delete(w.keys, child)
		}
	}
	audit.Claim()
	return nil
}

func (w *store) SetAPIKeyLastUsed(_ context.Context, id string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.keys[id]; k != nil {
		k.LastUsedAt = at
	}
	return nil
}

func (w *store) Audit(_ context.Context, f core.AuditFilter) ([]*core.AuditEntry, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.auditFilter = f
	return nil, 0, nil
}

func (w *store) CreateLogin(_ context.Context, audit *core.AuditRecord, l *core.Login) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := *l
	w.logins[l.ID] = &c
	audit.Claim()
	return nil
}

func (w *store) Login(_ context.Context, id string) (*core.Login, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.logins[id]; l != nil {
		c := *l
		return &c, nil
	}
	return nil, core.NotFound("login", id)
}

func (w *store) RotateLogin(_ context.Context, audit *core.AuditRecord, l *core.Login) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have := w.logins[l.ID]; have.Generation != l.Generation-1 || !have.EndedAt.IsZero() {
		return core.Conflict("rotated meanwhile")
	}
	c := *l
	w.logins[l.ID] = &c
	audit.Claim()
	return nil
}

func (w *store) EndLogin(_ context.Context, audit *core.AuditRecord, id string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.logins[id]; l != nil && l.EndedAt.IsZero() {
		l.EndedAt = at
	}
	audit.Claim()
	return nil
}

func (w *store) DeleteLogins(context.Context, time.Time, int) (int, error) { return 0, nil }
