package storage

import (
	"context"
	"database/sql/driver"
	"strings"

	"github.com/uptrace/bun/driver/pgdriver"
)

// queueConnector opens the connections of the task queue. Comments in River's statements contain apostrophes. pgdriver
// takes an apostrophe for the start of a string and does not replace the arguments after it, so such statements would
// fail, for example the one that elects River's leader.
type queueConnector struct{ *pgdriver.Connector }

// Connect implements driver.Connector.
func (c queueConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return queueConn{conn.(*pgdriver.Conn)}, nil
}

// queueConn is a connection that removes comments from statements.
type queueConn struct{ *pgdriver.Conn }

// ExecContext implements driver.ExecerContext.
func (c queueConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.ExecContext(ctx, withoutComments(query), args)
}

// QueryContext implements driver.QueryerContext.
func (c queueConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.QueryContext(ctx, withoutComments(query), args)
}

// withoutComments returns a statement without the comments that start with -- and end with their line. It leaves strings
// and quoted names as they are.
func withoutComments(query string) string {
	if !strings.Contains(query, "--") {
		return query
	}
	var b strings.Builder
	var quote byte
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case strings.HasPrefix(query[i:], "--"):
			end := strings.IndexByte(query[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
			c = '\n'
		}
		b.WriteByte(c)
	}
	return b.String()
}
