package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// dataSize adds the sizes of rows, for the quota of each user: to sessions that of their messages and runs, to
// calls that of the list of tools that they stored, and to notifications their own.
func dataSize(ctx context.Context, db bun.IDB) error {
	for _, statement := range []string{
		`ALTER TABLE sessions ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0`,
		`ALTER TABLE calls ADD COLUMN list_bytes BIGINT NOT NULL DEFAULT 0`,
		`ALTER TABLE notices ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0`,
		`UPDATE notices SET bytes = 256 + OCTET_LENGTH(data)`,
		`UPDATE sessions SET bytes =
(SELECT CAST(COALESCE(SUM(256 + OCTET_LENGTH(text) + OCTET_LENGTH(parts) + OCTET_LENGTH(metadata)), 0) AS BIGINT)
	FROM messages WHERE session_key = sessions.key)
+ (SELECT CAST(COALESCE(SUM(256 + OCTET_LENGTH(config) + OCTET_LENGTH(mcp_servers) + OCTET_LENGTH(error)), 0) AS BIGINT)
	FROM runs WHERE session_key = sessions.key)
+ (SELECT CAST(COALESCE(SUM(256 + OCTET_LENGTH(c.request) + OCTET_LENGTH(c.result) + OCTET_LENGTH(c.error)), 0)
	AS BIGINT) FROM runs AS r JOIN calls AS c ON c.run_id = r.id
	WHERE r.session_key = sessions.key AND r.status NOT IN ('running', 'waiting_approval'))
+ (SELECT CAST(COALESCE(SUM(256 + OCTET_LENGTH(e.data)), 0) AS BIGINT)
	FROM runs AS r JOIN events AS e ON e.run_id = r.id
	WHERE r.session_key = sessions.key AND (e.first <= 1 OR r.status NOT IN ('running', 'waiting_approval')))`,
		`DROP INDEX notices_of_user`,
		`CREATE INDEX notices_of_user ON notices (user_id, seq, bytes)`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
