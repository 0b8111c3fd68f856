package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Paged is the end of every list that is returned in pages.
type Paged struct {
	Total      int    `json:"total" doc:"The number of results on all pages"`
	Limit      int    `json:"limit"`
	Offset     int    `json:"offset"`
	NextCursor string `json:"next_cursor,omitempty" doc:"The cursor of the next page. Omitted on the last page"`
}

// Page are the query parameters of a list. Like the other embedded structs of inputs, it is exported
// because Huma ignores embedded structs that are not.
type Page struct {
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Number of results. A page has fewer, but at least one, if they exceed 4 MiB"`
	Paging
}

// LongPage is Page for a list that returns 100 results by default.
type LongPage struct {
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"Number of results. A page has fewer, but at least one, if they exceed 4 MiB"`
	Paging
}

// Paging are the query parameters that select a page of a list.
type Paging struct {
	Cursor string `query:"cursor" doc:"The next_cursor of the previous page. Unlike with an offset, no result is skipped or repeated when others are added or deleted"`
	Offset int    `query:"offset" minimum:"0" default:"0" doc:"Pagination offset. The next page starts at offset plus the number of results received"`
}

// ReadPage reads a page of a list, and returns it with the end of its reply. read returns objects of the store, and
// their total number. key returns the position of an object in the list. It fails with Invalid for a cursor of another
// list or of other filters.
func ReadPage[T any](
	ctx context.Context, limit int, p Paging, read func(core.Page) ([]T, int, error), key func(T) core.PageKey,
) ([]T, Paged, error) {
	end := Paged{Limit: limit, Offset: p.Offset}
	list := listHash(RequestFrom(ctx))
	after, err := p.after(list)
	if err != nil {
		return nil, end, err
	}
	// One more object than requested shows whether there is a next page.
	found, total, err := read(core.Page{Limit: limit + 1, Offset: p.Offset, After: after})
	if err != nil {
		return nil, end, err
	}
	end.Total = total
	more := len(found) > limit
	found = found[:min(len(found), limit)]
	switch {
	case more || len(found) == 0:
	case after == nil:
		more = p.Offset+len(found) < total
	default:
		// The page is the last one, unless it is short because its objects are large.
		last := key(found[len(found)-1])
		rest, _, err := read(core.Page{Limit: 1, After: &last})
		if err != nil {
			return nil, end, err
		}
		more = len(rest) > 0
	}
	if more {
		end.NextCursor = newCursor(list, key(found[len(found)-1]))
	}
	return found, end, nil
}

// Newest returns the position of an object in a list that is ordered by time, the newest first.
func Newest(at time.Time, id string) core.PageKey {
	return core.PageKey{Number: at.UnixMicro(), Text: id}
}

// after returns the position after which the page begins, or nil for a page without a cursor. It fails with Invalid.
func (p Paging) after(list []byte) (*core.PageKey, error) {
	if p.Cursor == "" {
		return nil, nil //nolint:nilnil // the first page
	}
	if p.Offset > 0 {
		return nil, core.Invalid("offset", "Must be omitted with cursor, which selects the page")
	}
	return parseCursor("cursor", p.Cursor, list)
}

// hashSize is the number of bytes of the hash in a cursor.
const hashSize = 8

// listHash identifies a list with its filters: the operation, its path, and the query without the parameters that
// select the page.
func listHash(req *Request) []byte {
	query, _ := url.ParseQuery(req.query) // Huma has validated it
	for _, name := range []string{"limit", "offset", "cursor", "before"} {
		query.Del(name)
	}
	sum := sha256.Sum256([]byte(req.action + " " + req.target + "?" + query.Encode()))
	return sum[:hashSize]
}

// newCursor returns the cursor of the page after a position. Clients must not interpret it.
func newCursor(list []byte, after core.PageKey) string {
	b := binary.BigEndian.AppendUint64(append([]byte{}, list...), uint64(after.Number)) //nolint:gosec // it is undone
	return base64.RawURLEncoding.EncodeToString(append(b, after.Text...))
}

// parseCursor returns the position in a cursor of the list. It fails with Invalid of the field.
func parseCursor(field, cursor string, list []byte) (*core.PageKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < hashSize+8 || textIssue(string(b[hashSize+8:])) != "" {
		return nil, core.Invalid(field, "Must be the next_cursor of a page of this list. Omit it for the first page")
	}
	if string(b[:hashSize]) != string(list) {
		return nil, core.Invalid(field,
			"Belongs to another list or to other filters. Send the same filters for each page, or omit it for the first page")
	}
	number := int64(binary.BigEndian.Uint64(b[hashSize:])) //nolint:gosec // newCursor has converted it
	return &core.PageKey{Number: number, Text: string(b[hashSize+8:])}, nil
}

// NewCursor returns the cursor of the page after a position in the list of the request, for a list that does not use
// ReadPage.
func NewCursor(ctx context.Context, after core.PageKey) string {
	return newCursor(listHash(RequestFrom(ctx)), after)
}

// ParseCursor returns the position in a cursor that NewCursor has returned. It fails with Invalid of the field.
func ParseCursor(ctx context.Context, field, cursor string) (*core.PageKey, error) {
	return parseCursor(field, cursor, listHash(RequestFrom(ctx)))
}
