package hostcall

import "testing"

func TestDecodeText(t *testing.T) {
	t.Parallel()
	const want = "Jürgen;Köln"
	le, be := []byte{}, []byte{}
	latin1 := []byte{}
	for _, r := range want {
		le = append(le, byte(r), byte(r>>8))
		be = append(be, byte(r>>8), byte(r))
		latin1 = append(latin1, byte(r))
	}
	for name, c := range map[string]struct {
		data      []byte
		mediaType string
		want      string
	}{
		"UTF-8":                         {[]byte(want), "text/csv", want},
		"UTF-8 with byte order mark":    {[]byte("\uFEFF" + want), "text/csv", want},
		"UTF-16LE":                      {le, "text/csv", want},
		"UTF-16BE":                      {be, "text/csv", want},
		"UTF-16LE with byte order mark": {append([]byte{0xFF, 0xFE}, le...), "text/csv; charset=utf-8", want},
		"UTF-16BE with byte order mark": {append([]byte{0xFE, 0xFF}, be...), "text/csv", want},
		"Latin-1":                       {latin1, "text/csv", want},
		"Windows-1252":                  {[]byte("5 \x80"), "text/plain", "5 €"},
		"charset":                       {[]byte("\xd5\xc5"), "text/plain; charset=gbk", "张"},
		"unknown charset":               {[]byte(want), "text/plain; charset=klingon", want},
		"Latin-1, first and last":       {[]byte("\xa7 5 \xe4"), "text/plain", "§ 5 ä"},
		"broken UTF-8":                  {[]byte("ü\xff"), "text/plain", "ü\uFFFD"},
		"binary":                        {[]byte("a\xff\x00b"), "text/plain", "a\uFFFD\uFFFDb"},
		"empty":                         {nil, "text/plain", ""},
	} {
		if got, used := decodeText(c.data, c.mediaType, 0, int64(len(c.data))); got != c.want || used != len(c.data) {
			t.Errorf("%s: decodeText() = %q, %d, want %q, %d", name, got, used, c.want, len(c.data))
		}
	}
}

// A part of a text ends between two characters, and the next part begins there.
func TestDecodeText_parts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want int
	}{
		"UTF-8":              {[]byte("aü\xc3"), 3},
		"UTF-16LE, odd":      {[]byte{'a', 0, 'b', 0, 'c'}, 4},
		"UTF-16LE, half":     {[]byte{'a', 0, 'b', 0, 'c', 0, 'd', 0, 0x3D, 0xD8}, 8},
		"UTF-16BE, half":     {[]byte{0xFE, 0xFF, 0, 'a', 0xD8, 0x3D}, 4},
		"Latin-1":            {[]byte("a\xe4b\xfc"), 4}, // \xfc could begin a rune of UTF-8, but is a character
		"nothing but a half": {[]byte{0xC3}, 1},
	} {
		if text, used := decodeText(c.data, "text/plain", 0, 1000); used != c.want {
			t.Errorf("%s: decodeText() = %q, %d, want %d bytes", name, text, used, c.want)
		}
	}
}
