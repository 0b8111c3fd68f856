package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/agentarea/agentarea/core"
)

func TestUserSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := core.NewUserSlots(1, 2)
		leave, err := s.Enter(t.Context(), "ann")
		if err != nil {
			t.Fatalf("Enter() = %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := s.Enter(ctx, "ann")
			gone <- err
		}()
		synctest.Wait()
		entered := make(chan error, 1)
		go func() {
			leave, err := s.Enter(t.Context(), "ann")
			if err == nil {
				leave()
			}
			entered <- err
		}()
		synctest.Wait()
		if _, err := s.Enter(t.Context(), "ann"); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("Enter() = %v while two wait, want %s", err, core.CodeUnavailable)
		}
		leaveBob, err := s.Enter(t.Context(), "bob")
		if err != nil {
			t.Errorf("Enter() of another user = %v", err)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("Enter() = %v after the end of its context, want %v", err, context.Canceled)
		}
		leave()
		if err := <-entered; err != nil {
			t.Errorf("Enter() = %v after the slot became free", err)
		}
		leaveBob()
		if n := s.Users(); n != 0 {
			t.Errorf("Users() = %d at the end, want 0", n)
		}
	})
}
