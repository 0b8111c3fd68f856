package api

import (
	"context"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// maxLarge is the default of Options.Large.
	maxLarge = 2
	// maxWaiting is the maximum number of requests of a user that wait for a slot.
	maxWaiting = 256
	// largeBody is the size in bytes above which a JSON body or a reply makes a request a large one.
	largeBody = 16 << 10
)

// UserSlots limits what each user does at the same time, if it needs much CPU, memory or many reads of the database.
// More of it waits, in the order in which it arrived. Without it, a few clients of one user could occupy all CPUs and
// all connections to the database. UserSlots is safe for concurrent use.
type UserSlots struct {
	max int

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

// NewUserSlots returns slots for that many requests per user.
func NewUserSlots(perUser int) *UserSlots {
	return &UserSlots{max: perUser, users: map[string]*userSlots{}}
}

// Enter waits for a slot of a user, which is occupied until leave is called. It fails with Unavailable if too many
// requests of the user wait, or with the error of ctx.
func (s *UserSlots) Enter(ctx context.Context, user string) (leave func(), err error) {
	slots := s.join(user)
	if slots == nil {
		return nil, &core.Error{
			Code: core.CodeUnavailable, RetryAfter: time.Second,
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
	if slots.requests >= s.max+maxWaiting {
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

// enterLarge waits for a slot of the caller for a large request, unless it has one. The request keeps it until its end,
// or until LeaveLarge is called.
func (a *API) enterLarge(ctx context.Context) (err error) {
	req := RequestFrom(ctx)
	if req.leaveLarge == nil {
		req.leaveLarge, err = a.large.Enter(ctx, callerKey(req))
	}
	return err
}

// EnterLarge waits for a slot of the caller if a reply of that many bytes makes the request a large one. It fails as
// UserSlots.Enter does. Operations that are registered as Large do not need it.
func (a *API) EnterLarge(ctx context.Context, replySize int) error {
	if replySize <= largeBody {
		return nil
	}
	return a.enterLarge(ctx)
}

// LeaveLarge returns the slot of the request, if it has one. A handler calls it before it waits for something that
// can take long, such as a run, so that other large requests of the caller do not wait for that, too.
func LeaveLarge(ctx context.Context) {
	req := RequestFrom(ctx)
	if leave := req.leaveLarge; leave != nil {
		req.leaveLarge = nil
		leave()
	}
}
