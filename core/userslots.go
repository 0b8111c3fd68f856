package core

import (
	"context"
	"sync"
	"time"
)

// UserSlots limits how many expensive requests each user runs at the same time. Further requests wait in the order of
// their arrival. Without this limit, a few clients of one user could occupy all CPUs and all connections to the
// database. UserSlots is safe for concurrent use.
type UserSlots struct {
	max, maxWaiting int

	mu sync.Mutex
	// users has the users with requests.
	users map[string]*userSlots
}

// userSlots are the slots of a user.
type userSlots struct {
	// running has an element for each running request.
	running chan struct{}
	// requests is the number of running and waiting requests.
	requests int
}

// NewUserSlots returns slots for perUser concurrent requests of each user. At most waiting further requests of the user
// wait for a slot.
func NewUserSlots(perUser, waiting int) *UserSlots {
	return &UserSlots{max: perUser, maxWaiting: waiting, users: map[string]*userSlots{}}
}

// Enter waits for a slot of a user, which is occupied until leave is called. It fails with Unavailable if too many
// requests of the user wait, or with the error of ctx.
func (s *UserSlots) Enter(ctx context.Context, user string) (leave func(), err error) {
	slots := s.join(user)
	if slots == nil {
		return nil, &Error{
			Code: CodeUnavailable, RetryAfter: time.Second,
			Message: "Too many large requests of yours are waiting. Send fewer of them at the same time.",
		}
	}
	select {
	case slots.running <- struct{}{}:
		return func() {
			<-slots.running
			s.quit(user, slots)
		}, nil
	case <-ctx.Done():
		s.quit(user, slots)
		return nil, ctx.Err()
	}
}

// join counts a request of a user. It returns nil if too many wait.
func (s *UserSlots) join(user string) *userSlots {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots := s.users[user]
	if slots == nil {
		slots = &userSlots{running: make(chan struct{}, s.max)}
		s.users[user] = slots
	}
	if slots.requests >= s.max+s.maxWaiting {
		return nil
	}
	slots.requests++
	return slots
}

// quit undoes join.
func (s *UserSlots) quit(user string, slots *userSlots) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slots.requests--; slots.requests == 0 {
		delete(s.users, user)
	}
}

// Users returns the number of users with requests.
func (s *UserSlots) Users() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.users)
}
