package auth

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func TestLoginErrorIsTheSameForEveryReason(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	if err := b.CreateUser(t.Context(), nil,
		&core.User{Username: "off", Email: "off@example.com"}, testPassword); err != nil {
		t.Fatal(err)
	}
	b.store.disable("off")

	for name, in := range map[string][2]string{
		"unknown user":   {"nobody", testPassword},
		"wrong password": {"ann", "wrong horse"},
		"disabled user":  {"off", testPassword},
		"empty":          {"", ""},
	} {
		_, err := b.Login(t.Context(), nil, in[0], in[1], testAddress)
		var e *core.Error
		if !errors.As(err, &e) || e.Code != core.CodeUnauthorized || e.Message != "Wrong username or password" {
			t.Errorf("%s: Login: got error %v, want the same message for every reason", name, err)
		}
	}
}

func TestLoginIgnoresCaseOfUsernames(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	if _, err := b.Login(t.Context(), nil, "ANN", testPassword, testAddress); err != nil {
		t.Fatal(err)
	}
}

// TestLoginIsLimitedByNameAndAddress checks that wrong passwords do not lock out the user at another address.
func TestLoginIsLimitedByNameAndAddress(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *Options) { o.NameFailures, o.AddressAttempts = 3, -1 })
	for range 3 {
		_, err := b.Login(t.Context(), nil, "Ann", "wrong", testAddress)
		wantCode(t, err, core.CodeUnauthorized)
	}
	if _, err := b.Login(t.Context(), nil, "ann", testPassword, "203.0.113.1"); err != nil {
		t.Errorf("Login from another address: %v", err)
	}
	_, err := b.Login(t.Context(), nil, "ann", testPassword, testAddress)
	wantCode(t, err, core.CodeRateLimited)
	var e *core.Error
	if errors.As(err, &e); e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		t.Errorf("got RetryAfter %v, want up to a minute", e.RetryAfter)
	}
	for range 3 { // the limit does not tell which users exist
		_, err := b.Login(t.Context(), nil, "nobody", "wrong", testAddress)
		wantCode(t, err, core.CodeUnauthorized)
	}
	_, err = b.Login(t.Context(), nil, "nobody", "wrong", testAddress)
	wantCode(t, err, core.CodeRateLimited)
	b.clock.pass(time.Minute)
	b.signIn(t)
}

func TestSuccessfulLoginsAreNotLimitedByName(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *Options) { o.NameFailures, o.AddressAttempts = 2, -1 })
	for range 5 {
		b.signIn(t)
	}
}

func TestLoginIsLimitedByAddress(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string][3]string{
		"IPv4":         {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		"mapped IPv4":  {"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"},
		"IPv6 network": {"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, func(o *Options) { o.AddressAttempts = 1 })
			if _, err := b.Login(t.Context(), nil, "ann", testPassword, addresses[0]); err != nil {
				t.Fatal(err)
			}
			_, err := b.Login(t.Context(), nil, "ann", testPassword, addresses[1])
			wantCode(t, err, core.CodeRateLimited)
			if _, err := b.Login(t.Context(), nil, "ann", testPassword, addresses[2]); err != nil {
				t.Errorf("Login from another address: %v", err)
			}
		})
	}
}

func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *Options) { o.NameFailures, o.AddressAttempts = -1, -1 })
	for range cap(b.passwords.slots) {
		b.passwords.slots <- struct{}{}
	}
	ctx, giveUp := context.WithCancel(t.Context())
	var waiters sync.WaitGroup
	for range maxWaiting {
		waiters.Go(func() {
			if _, err := b.Login(ctx, nil, "ann", testPassword, testAddress); !errors.Is(err, context.Canceled) {
				t.Errorf("Login of a waiting caller: got error %v, want %v", err, context.Canceled)
			}
		})
	}
	for b.passwords.waiting.Load() < maxWaiting {
		time.Sleep(time.Millisecond)
	}
	_, err := b.Login(t.Context(), nil, "ann", testPassword, testAddress)
	wantCode(t, err, core.CodeUnavailable)
	giveUp()
	waiters.Wait()
	for range cap(b.passwords.slots) {
		<-b.passwords.slots
	}
	b.signIn(t)
}
