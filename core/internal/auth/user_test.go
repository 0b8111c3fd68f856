package auth

import (
	"errors"
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"

	"github.com/agentarea/agentarea/core"
)

func TestCreateUserValidatesItsInput(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	for name, c := range map[string]struct {
		user     core.User
		password string
		fields   string
	}{
		"good":             {core.User{Username: "bob.B_1@x-y", Email: "b@example.com", Role: core.RoleViewer}, "12345678", ""},
		"no username":      {core.User{Email: "c@example.com"}, "12345678", "username"},
		"long username":    {core.User{Username: strings.Repeat("a", 65), Email: "c@example.com"}, "12345678", "username"},
		"line in username": {core.User{Username: "a\nb", Email: "c@example.com"}, "12345678", "username"},
		"short password":   {core.User{Username: "c", Email: "c@example.com"}, "1234567", "password"},
		"long password":    {core.User{Username: "c", Email: "c@example.com"}, strings.Repeat("p", 257), "password"},
		"no email":         {core.User{Username: "c"}, "12345678", "email"},
		"named email":      {core.User{Username: "c", Email: "C <c@example.com>"}, "12345678", "email"},
		"unknown role":     {core.User{Username: "c", Email: "c@example.com", Role: "root"}, "12345678", "role"},
		"all of it":        {core.User{Role: "root"}, "", "username,email,password,role"},
	} {
		err := b.CreateUser(t.Context(), nil, &c.user, c.password)
		var e *core.Error
		var got []string
		if errors.As(err, &e) {
			for _, f := range e.Fields {
				got = append(got, f.Field)
			}
		}
		if strings.Join(got, ",") != c.fields || (err == nil) != (c.fields == "") {
			t.Errorf("%s: CreateUser: got error %v, want fields %q", name, err, c.fields)
		}
	}
	err := b.CreateUser(t.Context(), nil, &core.User{Username: "ANN", Email: "d@example.com"}, testPassword)
	wantCode(t, err, core.CodeConflict)
}

func TestEnsureAdminCreatesOnlyTheFirstUser(t *testing.T) {
	t.Parallel()
	empty := func() *env {
		b := newEnv(t, func(o *Options) { o.AddressAttempts = -1 })
		clear(b.store.users)
		return b
	}
	b := empty()
	generated, err := b.EnsureAdmin(t.Context(), "", "")
	if err != nil || len(generated) < 20 {
		t.Fatalf("EnsureAdmin = %q, %v, want a generated password", generated, err)
	}
	tok, err := b.Login(t.Context(), nil, "admin", generated, testAddress)
	if err != nil || tok.User.Role != core.RoleAdmin {
		t.Fatalf("Login with the generated password = %+v, %v, want role admin", tok, err)
	}
	if again, err := b.EnsureAdmin(t.Context(), "root", "another one"); err != nil || again != "" ||
		len(b.store.users) != 1 {
		t.Errorf("second EnsureAdmin = %q, %v with %d users, want no change", again, err, len(b.store.users))
	}

	b = empty()
	if generated, err := b.EnsureAdmin(t.Context(), "root@example.com", testPassword); err != nil || generated != "" {
		t.Fatalf("EnsureAdmin with a password = %q, %v, want no generated one", generated, err)
	}
	if _, err := b.Login(t.Context(), nil, "root@example.com", testPassword, testAddress); err != nil {
		t.Error(err)
	}
	b = empty()
	_, err = b.EnsureAdmin(t.Context(), "root", "short")
	wantCode(t, err, core.CodeValidation)
}

func TestUnknownUserCostsAsMuchAsWrongPassword(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	ann, err := b.store.UserByName(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	cost := func(hash string) string { return strings.Join(strings.Split(hash, "$")[:4], "$") }
	if got, want := cost(b.passwords.dummy), cost(ann.PasswordHash); got != want ||
		!strings.Contains(want, "m=64,t=1,p=1") {
		t.Errorf("an unknown user is compared with %s, and ann with %s", got, want)
	}
}

func TestHashingHasTheRecommendedCost(t *testing.T) {
	t.Parallel()
	if want := (argon2id.Params{
		Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32,
	}); realHashing != want {
		t.Errorf("got parameters %+v, want %+v", realHashing, want)
	}
}
