package hostcall

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

var (
	utf16LE = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	utf16BE = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
)

// decodeText returns the bytes of a text file of the given size from offset on as UTF-8. It replaces invalid
// bytes with U+FFFD, and NUL too, because some databases and providers reject NUL. If more data follows, it leaves
// out an incomplete character at the end; used is the number of bytes of data that text contains.
func decodeText(data []byte, mediaType string, offset, size int64) (text string, used int) {
	complete := data // without the runes that data has only a part of
	if offset > 0 {
		complete = trimContinuation(complete)
	}
	more := offset+int64(len(data)) < size
	if more {
		complete = trimPartialRune(complete)
	}
	e := detectEncoding(data, mediaType, utf8.Valid(complete))
	if trimmed := trimPartialCharacter(data, e); more && len(trimmed) > 0 {
		data = trimmed
	}
	text = string(data)
	if e != nil {
		if decoded, err := e.NewDecoder().Bytes(data); err == nil {
			text = string(decoded)
		}
	}
	text = strings.TrimPrefix(strings.ToValidUTF8(text, "\uFFFD"), "\uFEFF")
	return strings.ReplaceAll(text, "\x00", "\uFFFD"), len(data)
}

// detectEncoding returns the encoding of a text, or nil for UTF-8. It uses the byte order mark, the charset of
// the media type, and then the bytes: a text in a European language has a NUL in every second byte of UTF-16.
// Text that is neither UTF-16 nor UTF-8 is Windows-1252, which contains Latin-1. valid reports whether data is
// valid UTF-8, apart from an incomplete character at its start or end.
func detectEncoding(data []byte, mediaType string, valid bool) encoding.Encoding {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return utf16LE
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return utf16BE
	}
	if e := charsetOf(mediaType); e != nil {
		return e
	}
	even, odd := countNULs(data)
	most := len(data) / 2 * 2 / 3
	switch {
	case odd > most && even == 0:
		return utf16LE
	case even > most && odd == 0:
		return utf16BE
	case even+odd > 0 || valid || hasMultiByteRune(data):
		return nil
	default:
		return charmap.Windows1252
	}
}

// charsetOf returns the encoding that a media type names, or nil for UTF-8 and unknown encodings.
func charsetOf(mediaType string) encoding.Encoding {
	_, params, err := mime.ParseMediaType(mediaType)
	if err != nil || params["charset"] == "" {
		return nil
	}
	e, err := htmlindex.Get(params["charset"])
	if err != nil || e == unicode.UTF8 {
		return nil
	}
	switch name, _ := htmlindex.Name(e); name {
	case "utf-16le":
		return utf16LE
	case "utf-16be":
		return utf16BE
	}
	return e
}

// countNULs returns the numbers of NUL bytes at even and at odd positions.
func countNULs(data []byte) (even, odd int) {
	for i, b := range data {
		if b == 0 {
			if i%2 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	return even, odd
}

// hasMultiByteRune reports whether data contains a character of several bytes in UTF-8. The bytes of a text in
// another encoding hardly ever look like one.
func hasMultiByteRune(data []byte) bool {
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if size > 1 && r != utf8.RuneError {
			return true
		}
		data = data[size:]
	}
	return false
}

// trimPartialCharacter returns data without an incomplete character at its end.
func trimPartialCharacter(data []byte, e encoding.Encoding) []byte {
	switch e {
	case nil:
		return trimPartialRune(data)
	case utf16LE, utf16BE:
		data = data[:len(data)&^1]
		high := 2 // the distance of the high byte of the last unit from the end
		if e == utf16LE {
			high = 1
		}
		// Checks for the first half of a character of two units.
		if n := len(data); n > 0 && data[n-high]&0xFC == 0xD8 {
			return data[:n-2]
		}
	}
	return data
}

// trimContinuation returns data without the rest of a rune at its beginning.
func trimContinuation(data []byte) []byte {
	for n := 0; n < utf8.UTFMax-1 && len(data) > 0 && !utf8.RuneStart(data[0]); n++ {
		data = data[1:]
	}
	return data
}

// trimPartialRune returns data without an incomplete rune at its end.
func trimPartialRune(data []byte) []byte {
	for n := 1; n <= min(len(data), utf8.UTFMax-1); n++ {
		tail := data[len(data)-n:]
		if !utf8.RuneStart(tail[0]) {
			continue
		}
		if !utf8.FullRune(tail) {
			return data[:len(data)-n]
		}
		break
	}
	return data
}
