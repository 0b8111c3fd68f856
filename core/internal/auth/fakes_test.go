package auth

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/limit"
)

// realHashing has the parameters of the server. Tests use cheap ones.
var realHashing = *hashing

func TestMain(m *testing.M) {
	hashing = &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	os.Exit(m.Run())
}

// memory implements the stores in memory and counts calls.
type memory struct {
	mu         sync.Mutex
	users      map[string]*core.User
	logins     map[string]*core.Login
	keys       map[string]*core.APIKey
	loginReads int
}

func (m *memory) CreateUser(_ context.Context, _ *core.AuditRecord, u *core.User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, have := range m.users {
		if strings.EqualFold(have.Username, u.Username) || strings.EqualFold(have.Email, u.Email) {
			return core.Conflict("taken")
		}
	}
	c := *u
	m.users[u.ID] = &c
	return nil
}

func (m *memory) User(_ context.Context, id string) (*core.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.users[id]; u != nil {
		c := *u
		return &c, nil
	}
	return nil, core.NotFound("user", id)
}

func (m *memory) UserByName(_ context.Context, name string) (*core.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range m.users {
		if strings.EqualFold(u.Username, name) {
			c := *u
			return &c, nil
		}
	}
	return nil, core.NotFound("user", name)
}

func (m *memory) Users(context.Context, core.Page) ([]*core.User, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return nil, len(m.users), nil
}

func (m *memory) CreateLogin(_ context.Context, _ *core.AuditRecord, l *core.Login) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := *l
	m.logins[l.ID] = &c
	return nil
}

func (m *memory) Login(_ context.Context, id string) (*core.Login, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loginReads++
	if l := m.logins[id]; l != nil {
		c := *l
		return &c, nil
	}
	return nil, core.NotFound("login", id)
}

func (m *memory) RotateLogin(_ context.Context, _ *core.AuditRecord, l *core.Login) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	have := m.logins[l.ID]
	if have == nil || have.Generation != l.Generation-1 || !have.EndedAt.IsZero() {
		return core.Conflict("rotated meanwhile")
	}
	c := *l
	m.logins[l.ID] = &c
	return nil
}

func (m *memory) EndLogin(_ context.Context, _ *core.AuditRecord, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.logins[id]; l != nil && l.EndedAt.IsZero() {
		l.EndedAt = at
	}
	return nil
}

func (m *memory) DeleteLogins(context.Context, time.Time, int) (int, error) { return 0, nil }

func (m *memory) UpdateUser(_ context.Context, _ *core.AuditRecord, id string, up core.UserUpdate) (*core.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.users[id]
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
	for _, l := range m.logins {
		if up.EndLogins && l.UserID == id && l.ID != up.KeepLogin {
			l.EndedAt = up.At
		}
	}
	for id, k := range m.keys {
		if up.EndKeys && k.UserID == u.ID {
			delete(m.keys, id)
		}
	}
	c := *u
	return &c, nil
}

func (m *memory) CreateAPIKey(_ context.Context, _ *core.AuditRecord, k *core.APIKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := *k
	m.keys[k.ID] = &c
	return nil
}

func (m *memory) APIKey(_ context.Context, v core.Actor, id string) (*core.APIKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.keys[id]; k != nil && (v.Admin() || k.UserID == v.UserID) {
		c := *k
		return &c, nil
	}
	return nil, core.NotFound("API key", id)
}

func (m *memory) APIKeys(context.Context, core.Actor, string, core.Page) ([]*core.APIKey, int, error) {
	return nil, 0, nil
}

func (m *memory) DeleteAPIKey(_ context.Context, _ *core.AuditRecord, _ core.Actor, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.keys, id)
	for child, k := range m.keys {
		if k.ParentID == id {
			delete(m.keys, child)
		}
	}
	return nil
}

func (m *memory) SetAPIKeyLastUsed(_ context.Context, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.keys[id]; k != nil {
		k.LastUsedAt = at
	}
	return nil
}

func (m *memory) disable(username string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range m.users {
		if u.Username == username {
			u.Disabled = true
		}
	}
}

func (m *memory) reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loginReads
}

// clock is a clock that tests advance.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

const (
	testPassword = "correct horse"
	testAddress  = "192.0.2.7"
)

var testSecret = []byte("0123456789abcdef0123456789abcdef")

// env is an Auth with the user ann.
type env struct {
	*Auth
	store *memory
	clock *clock
}

func newEnv(t *testing.T, change ...func(*Options)) *env {
	t.Helper()
	b := &env{
		store: &memory{users: map[string]*core.User{}, logins: map[string]*core.Login{}, keys: map[string]*core.APIKey{}},
		clock: &clock{at: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)},
	}
	o := Options{
		Users: b.store, Logins: b.store, Keys: b.store,
		Rates: limit.NewMemory(b.clock.now), Secret: testSecret, Now: b.clock.now,
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	if b.Auth, err = New(o); err != nil {
		t.Fatal(err)
	}
	err = b.CreateUser(t.Context(), nil, &core.User{Username: "ann", Email: "ann@example.com"}, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *env) signIn(t *testing.T) *core.Tokens {
	t.Helper()
	tok, err := b.Login(t.Context(), nil, "ann", testPassword, testAddress)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func wantCode(t *testing.T, err error, code core.Code) {
	t.Helper()
	if err == nil || core.CodeOf(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}
