package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// maxBatch is the maximum number of writes in one transaction and in the queue.
const maxBatch = 256

// committer executes all writes in one goroutine. It waits for a write, begins a transaction and
// takes all writes that wait by then. It runs each in a savepoint, so that a failed write undoes only
// its own changes, then commits once and answers all. The cost of a synced commit, and of the pages
// that several writes touch, is shared.
type committer struct {
	db      *bun.DB
	dialect dialect
	// busyTimeout is the maximum time that a write waits for the lock of another process.
	busyTimeout time.Duration
	// metrics may be nil.
	metrics Metrics
	queue   chan *op
	done    chan struct{}
	// sending is read-locked while a write is put into queue, so that stop does not close it then.
	sending sync.RWMutex
	stopped bool
	// conn is the connection. It is nil after a failure that may have left it in an unknown state.
	conn    *tx
	wakeups *wakeups
}

// tx is the transaction of a write. It executes bun queries and prepared statements.
type tx struct {
	bun.Conn
	*statements
	// sql is the same transaction for libraries that need a *sql.Tx.
	sql *sql.Tx
	// wakeups are delivered when the transaction commits.
	wakeups []core.Wakeup
}

// Unwrap returns the transaction. Migrations use it.
func (t *tx) Unwrap() *sql.Tx { return t.sql }

// op is one write in the queue.
type op struct {
	ctx      context.Context
	run      func(ctx context.Context, tx *tx) error
	queuedAt time.Time
	state    atomic.Int32
	answer   chan error
	// err is the error of run. The outcome of the write is err, or the error of the commit.
	err error
}

// The states of an op. It is waiting until the committer takes it or its caller drops it.
const (
	opWaiting int32 = iota
	opTaken
	opDropped
)

var (
	savepoint = &preparedStatement{"SAVEPOINT op"}
	release   = &preparedStatement{"RELEASE SAVEPOINT op"}
	undo      = &preparedStatement{"ROLLBACK TO SAVEPOINT op"}
	rollback  = &preparedStatement{"ROLLBACK"}
)

func newCommitter(db *bun.DB, d dialect, o Options, w *wakeups) *committer {
	c := &committer{
		db: db, dialect: d, busyTimeout: o.BusyTimeout, metrics: o.Metrics, wakeups: w,
		queue: make(chan *op, maxBatch), done: make(chan struct{}),
	}
	go c.loop()
	return c
}

// do queues a write and waits for its outcome. If ctx is done before the write is taken, do drops
// it and returns ctx's error.
func (c *committer) do(ctx context.Context, run func(ctx context.Context, tx *tx) error) error {
	o := &op{ctx: ctx, run: run, queuedAt: time.Now(), answer: make(chan error, 1)}
	if err := c.enqueue(o); err != nil {
		return err
	}
	select {
	case err := <-o.answer:
		return err
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opDropped) {
			return ctx.Err()
		}
		return <-o.answer
	}
}

func (c *committer) enqueue(o *op) error {
	c.sending.RLock()
	defer c.sending.RUnlock()
	if c.stopped {
		return core.Unavailable("The database is closed")
	}
	select {
	case c.queue <- o:
		return nil
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
}

// stop executes the waiting writes and ends the committer.
func (c *committer) stop() {
	c.sending.Lock()
	c.stopped = true
	close(c.queue)
	c.sending.Unlock()
	<-c.done
}

func (c *committer) loop() {
	defer close(c.done)
	for first := range c.queue {
		begun := time.Now()
		if err := c.begin(first); err != nil {
			first.answer <- err
			continue
		}
		batch := c.take(first)
		err := c.runBatch(batch)
		if c.metrics != nil {
			c.metrics.WriteBatch(len(batch), begun.Sub(first.queuedAt), time.Since(begun), err != nil)
		}
	}
	if c.conn != nil {
		c.conn.statements.close()
		_ = c.conn.Close() // returns it to the pool, which the caller closes
	}
}

// begin starts a transaction. While another process holds the lock, it retries until first has
// waited for busyTimeout. It does not take the write, so that its caller can still drop it.
func (c *committer) begin(first *op) error {
	for fresh := c.conn == nil; ; {
		err := first.ctx.Err()
		if err == nil {
			err = c.tryBegin()
		}
		if err == nil || first.ctx.Err() != nil {
			return err
		}
		if c.dialect.failure(err) != failBusy {
			c.disconnect()
			if fresh {
				return err
			}
			fresh = true // the connection may have been lost since the last write
			continue
		}
		if time.Since(first.queuedAt) >= c.busyTimeout {
			return err
		}
	}
}

func (c *committer) tryBegin() (err error) {
	if c.conn == nil {
		conn, err := c.db.Conn(context.Background())
		if err != nil {
			return err
		}
		c.conn = &tx{Conn: conn, statements: newStatements(conn.Conn, c.dialect)}
	}
	ctx := context.Background()
	if c.conn.sql, err = c.conn.Conn.Conn.BeginTx(ctx, nil); err != nil {
		return err
	}
	if err := c.dialect.lockWrites(ctx, c.conn); err != nil {
		return errors.Join(err, c.conn.sql.Rollback())
	}
	return nil
}

// disconnect closes the connection, so that the next write gets a new one.
func (c *committer) disconnect() {
	if c.conn == nil {
		return
	}
	c.conn.statements.close()
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.conn.Close()
	c.conn = nil
}

// take returns first and all waiting writes, except those that their callers dropped.
func (c *committer) take(first *op) []*op {
	batch := make([]*op, 0, 16)
	if first.take() {
		batch = append(batch, first)
	}
	for len(batch) < maxBatch {
		select {
		case o, ok := <-c.queue:
			if !ok {
				return batch
			}
			if o.take() {
				batch = append(batch, o)
			}
		default:
			return batch
		}
	}
	return batch
}

// take reports whether the write can be executed. It answers a write whose context is done.
func (o *op) take() bool {
	if err := o.ctx.Err(); err != nil {
		o.state.CompareAndSwap(opWaiting, opDropped)
		o.answer <- err
		return false
	}
	return o.state.CompareAndSwap(opWaiting, opTaken)
}

// runBatch executes the writes, commits and answers them. It returns an error if the transaction was
// rolled back.
func (c *committer) runBatch(batch []*op) error {
	c.conn.wakeups = c.conn.wakeups[:0]
	err := c.runAll(batch)
	if err == nil {
		err = c.notify()
	}
	if err != nil {
		// A new connection can reach another host, which is the primary now.
		if c.conn.sql.Rollback() != nil || c.dialect.failure(err) == failReadOnly {
			c.disconnect()
		}
	} else if err = c.conn.sql.Commit(); err == nil {
		c.wakeups.deliver(c.conn.wakeups)
	} else if c.exec(rollback) != nil {
		// A failed commit can leave SQLite's transaction open.
		c.disconnect()
	}
	for _, o := range batch {
		if o.err == nil {
			o.err = err
		}
		o.answer <- o.err
	}
	return err
}

// runAll executes each write and stores its error in its err. It returns an error if the whole
// transaction must be rolled back.
func (c *committer) runAll(batch []*op) error {
	if len(batch) == 1 {
		batch[0].err = batch[0].run(context.WithoutCancel(batch[0].ctx), c.conn)
		return batch[0].err
	}
	for _, o := range batch {
		if err := c.runInSavepoint(o); err != nil {
			return err
		}
	}
	return nil
}

// runInSavepoint executes one write so that its failure undoes only its own changes.
func (c *committer) runInSavepoint(o *op) error {
	if err := c.exec(savepoint); err != nil {
		return err
	}
	before := len(c.conn.wakeups)
	if o.err = o.run(context.WithoutCancel(o.ctx), c.conn); o.err != nil {
		c.conn.wakeups = c.conn.wakeups[:before]
		// After a failure such as a full disk, SQLite has rolled back the whole transaction, and the
		// savepoint no longer exists.
		if err := c.exec(undo); err != nil {
			return &core.Error{
				Code: core.CodeUnavailable, Message: "The database could not store the change",
				Err: errors.Join(o.err, err),
			}
		}
	}
	return c.exec(release)
}

// exec uses a background context because the transaction holds writes of several callers.
func (c *committer) exec(p *preparedStatement) error {
	_, err := c.conn.exec(context.Background(), p)
	return err
}
