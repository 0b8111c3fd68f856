package api

import "context"

const (
	// maxLarge is the default of Options.Large.
	maxLarge = 2
	// maxWaiting is the maximum number of large requests of a user that wait for others of the same user.
	maxWaiting = 256
	// largeBody is the size in bytes above which a JSON body or a reply makes a request a large one.
	largeBody = 16 << 10
)

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
// core.UserSlots.Enter does. Operations that are registered as Large do not need it.
func (a *API) EnterLarge(ctx context.Context, replySize int) error {
	if replySize <= largeBody {
		return nil
	}
	return a.enterLarge(ctx)
}

// LeaveLarge returns the slot of the request, if it has one. A handler calls it before it waits for something that
// can take long, such as a run, so that other large requests of the caller do not have to wait for it.
func LeaveLarge(ctx context.Context) {
	req := RequestFrom(ctx)
	if leave := req.leaveLarge; leave != nil {
		req.leaveLarge = nil
		leave()
	}
}
