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

// maxBatch bounds the writes of one commit, and those that wait in the queue.
const maxBatch = 256

// committer is the one writer. It waits for a write, begins a transaction, takes
// all that wait by then, runs each in a savepoint, so that one's failure undoes
// its own only, commits once and answers them. So a synced commit, and the
// pages that all of them touch, are paid once.
type committer struct {
	db      *bun.DB
	dialect dialect
	// busyTimeout is how long a write waits for a lock.
	busyTimeout time.Duration
	// metrics may be nil.
	metrics Metrics
	queue   chan *op
	done    chan struct{}
	// sending is held by those that put into queue, so that stop closes it after them.
	sending sync.RWMutex
	stopped bool
	// conn is the connection, nil after a failure that may have left it in doubt.
	conn    *tx
	wakeups *wakeups
}

// tx is what a write runs in: bun for plain queries, statements for the hot ones.
type tx struct {
	bun.Conn
	*statements
	// sql is the transaction for libraries that ask for one.
	sql *sql.Tx
	// wakeups are raised when it is committed.
	wakeups []core.Wakeup
}

// Unwrap gives the transaction to migrations.
func (t *tx) Unwrap() *sql.Tx { return t.sql }

// op is one write on its way.
type op struct {
	ctx    context.Context
	run    func(ctx context.Context, tx *tx) error
	asked  time.Time
	state  atomic.Int32
	answer chan error
	// err is the outcome, if the commit succeeds.
	err error
}

// An op is waiting until the writer takes it or its caller drops it.
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

func newCommitter(db *bun.DB, d dialect, o Options, s *wakeups) *committer {
	c := &committer{
		db: db, dialect: d, busyTimeout: o.BusyTimeout, metrics: o.Metrics, wakeups: s,
		queue: make(chan *op, maxBatch), done: make(chan struct{}),
	}
	go c.loop()
	return c
}

// do hands a write to the writer and waits for its outcome.
func (c *committer) do(ctx context.Context, run func(ctx context.Context, tx *tx) error) error {
	o := &op{ctx: ctx, run: run, asked: time.Now(), answer: make(chan error, 1)}
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

// stop ends the writer after the writes that wait.
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
			c.metrics.WriteBatch(len(batch), begun.Sub(first.asked), time.Since(begun), err != nil)
		}
	}
	if c.conn != nil {
		_ = c.conn.Close() // back to the pool, which is closed next
	}
}

// begin starts a transaction. While another process holds the lock it tries
// until first has waited long enough. The write is not taken meanwhile, so its
// caller may still drop it.
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
			fresh = true // the connection was lost since the last write
			continue
		}
		if time.Since(first.asked) >= c.busyTimeout {
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
	if err := c.dialect.alone(ctx, c.conn); err != nil {
		return errors.Join(err, c.conn.sql.Rollback())
	}
	return nil
}

// disconnect drops the connection, so that the next write gets a clean one.
func (c *committer) disconnect() {
	if c.conn == nil {
		return
	}
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.conn.Close()
	c.conn = nil
}

// take gives first and all that wait, but those whose callers are gone.
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

func (o *op) take() bool {
	if err := o.ctx.Err(); err != nil {
		o.state.CompareAndSwap(opWaiting, opDropped)
		o.answer <- err
		return false
	}
	return o.state.CompareAndSwap(opWaiting, opTaken)
}

// runBatch runs the writes, commits and answers. It gives why nothing of them was kept.
func (c *committer) runBatch(batch []*op) error {
	c.conn.wakeups = c.conn.wakeups[:0]
	err := c.runAll(batch)
	if err == nil {
		err = c.tell()
	}
	if err != nil {
		if c.conn.sql.Rollback() != nil {
			c.disconnect()
		}
	} else if err = c.conn.sql.Commit(); err == nil {
		c.wakeups.raise(c.conn.wakeups)
	} else if c.exec(rollback) != nil {
		// A commit that fails may leave SQLite's transaction open.
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

// runAll leaves each write's own error in its err. It fails when nothing of the
// transaction is to stay.
func (c *committer) runAll(batch []*op) error {
	if len(batch) == 1 {
		batch[0].err = batch[0].run(context.WithoutCancel(batch[0].ctx), c.conn)
		return batch[0].err
	}
	for _, o := range batch {
		if err := c.runAmong(o); err != nil {
			return err
		}
	}
	return nil
}

// runAmong runs a write so that its failure undoes its own only.
func (c *committer) runAmong(o *op) error {
	if err := c.exec(savepoint); err != nil {
		return err
	}
	before := len(c.conn.wakeups)
	if o.err = o.run(context.WithoutCancel(o.ctx), c.conn); o.err != nil {
		c.conn.wakeups = c.conn.wakeups[:before]
		// After a failure such as a full disk SQLite has undone the whole
		// transaction, and has no savepoint any more.
		if err := c.exec(undo); err != nil {
			return &core.Error{
				Code: core.CodeUnavailable, Message: "The database could not keep the change",
				Err: errors.Join(o.err, err),
			}
		}
	}
	return c.exec(release)
}

// exec is of no caller's context: the writes of many depend on it.
func (c *committer) exec(p *preparedStatement) error {
	_, err := c.conn.exec(context.Background(), p)
	return err
}
