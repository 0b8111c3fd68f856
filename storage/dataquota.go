package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// maxUsageAge is the time for which a reading of a user's usage is used.
	maxUsageAge = time.Minute
	// slowReading is the duration from which a reading is slow. A slow reading is used for at least slowFactor
	// times its duration, so that a user with very many objects cannot occupy the readers of the database.
	slowReading = 200 * time.Millisecond
	slowFactor  = 10
)

// dataQuota limits the bytes that each user stores in the database. It reads a user's usage from the database,
// and adds what this process writes until the next reading, so that a turn needs no reading of its own. An
// object is refused only after a reading. Its methods may be called concurrently.
type dataQuota struct {
	// limit is the maximum usage in bytes, or 0 if there is none.
	limit int64
	// read returns the usage of a user from the database.
	read func(ctx context.Context, userID string) (int64, error)
	// slow is slowReading, except in tests.
	slow time.Duration

	mu sync.Mutex
	// users contains the users who wrote something. Its values are guarded by mu, except for their mutexes.
	users map[string]*userData
}

// userData is the usage of one user.
type userData struct {
	// reading is held while the usage is read.
	reading sync.Mutex
	// used is the usage at readAt. The reading took that long. readAt is zero before the first reading.
	used   int64
	readAt time.Time
	took   time.Duration
	// written is the size of the writes since then, pending that of the writes in progress.
	written, pending int64
}

func newDataQuota(limit int64, read func(ctx context.Context, userID string) (int64, error)) *dataQuota {
	return &dataQuota{limit: limit, read: read, slow: slowReading, users: map[string]*userData{}}
}

// reserve fails with PayloadTooLarge if the user may not store n more bytes. Otherwise the caller must write
// them and call settle.
func (q *dataQuota) reserve(ctx context.Context, userID string, n int64) error {
	if q.limit <= 0 || n <= 0 {
		return nil
	}
	q.mu.Lock()
	u := q.user(userID)
	admitted := time.Since(u.readAt) < max(maxUsageAge, slowFactor*u.took) && q.admit(u, n)
	q.mu.Unlock()
	if admitted {
		return nil
	}
	if err := q.refresh(ctx, userID, u); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.admit(u, n) {
		return overDataQuota(q.limit, u.used+u.written)
	}
	return nil
}

// admit counts a write of n bytes as pending, unless it exceeds the limit. The caller holds mu.
func (q *dataQuota) admit(u *userData, n int64) bool {
	if u.used+u.written+u.pending+n > q.limit {
		return false
	}
	u.pending += n
	return true
}

// settle ends a write that reserve admitted. err is the outcome of the write.
func (q *dataQuota) settle(userID string, n int64, err error) {
	if q.limit <= 0 || n <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.user(userID)
	u.pending -= n
	if err == nil {
		u.written += n
	}
}

// add counts a write of a run in progress, which needs no reservation.
func (q *dataQuota) add(userID string, n int64) {
	if q.limit <= 0 || n <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.user(userID).written += n
}

// usage returns the usage of a user.
func (q *dataQuota) usage(ctx context.Context, userID string) (int64, error) {
	q.mu.Lock()
	u := q.user(userID)
	q.mu.Unlock()
	if err := q.refresh(ctx, userID, u); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return u.used + u.written, nil
}

// user returns the usage of a user. The caller holds mu.
func (q *dataQuota) user(userID string) *userData {
	u := q.users[userID]
	if u == nil {
		u = &userData{}
		q.users[userID] = u
	}
	return u
}

// refresh reads the usage, unless another caller has just read it or reading it is slow.
func (q *dataQuota) refresh(ctx context.Context, userID string, u *userData) error {
	asked := time.Now()
	u.reading.Lock()
	defer u.reading.Unlock()
	q.mu.Lock()
	slow := u.took >= q.slow && time.Since(u.readAt) < slowFactor*u.took
	before := u.written
	current := slow || u.readAt.After(asked)
	q.mu.Unlock()
	if current {
		return nil
	}
	begun := time.Now()
	used, err := q.read(ctx, userID)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	u.used, u.readAt, u.took = used, begun, time.Since(begun)
	// A write that ends during the reading may be in both numbers, until the next reading.
	u.written -= before
	return nil
}

// overDataQuota returns the error for a write beyond the limit. used is the present usage in bytes.
func overDataQuota(limit, used int64) error {
	return &core.Error{
		Code: core.CodePayloadTooLarge,
		Message: fmt.Sprintf("The sessions, tasks and other objects of the user would exceed the limit of %d bytes "+
			"in the database. They use %d bytes. Delete some of them first, or ask an admin to raise --max-user-data",
			limit, used),
	}
}

// dataUsage reads the usage of a user from the database.
func (db *DB) dataUsage(ctx context.Context, id string) (n int64, err error) {
	err = db.queryRow(ctx, selectDataUsage, []any{id, id, id, id, id, id, id}, &n)
	return n, err
}

// StorageUsage implements core.UsageStore.
func (db *DB) StorageUsage(ctx context.Context, actor core.Actor, userID string) (u core.StorageUsage, err error) {
	if userID != actor.UserID {
		if !actor.Admin() {
			return u, core.Forbidden("Insufficient permissions: only an admin can see another user's storage")
		}
		if _, err := db.User(ctx, userID); err != nil {
			return u, err
		}
	}
	if u.Database, err = db.quota.usage(ctx, userID); err != nil {
		return u, err
	}
	u.Files, err = db.FileUsage(ctx, userID)
	return u, err
}

// reserveGrowth reserves the bytes that a change adds to an object, which has the given size afterwards. It returns
// them and the owner of the object, for settle. It fails as reserve does. stored selects the owner and the present
// size. If the object does not exist, reserveGrowth returns 0, and the change reports it.
func (db *DB) reserveGrowth(ctx context.Context, stored *preparedStatement, id string, size int64) (
	owner string, growth int64, err error,
) {
	if db.quota.limit <= 0 {
		return "", 0, nil
	}
	var before int64
	err = db.queryRow(ctx, stored, []any{id}, &owner, &before)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	growth = size - before
	return owner, growth, db.quota.reserve(ctx, owner, growth)
}
