package mcp

import (
	"net/url"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// urlParts are a URL's text, cut where secrets may stand: a password (or a user name
// alone), and the values of its query. A secret in the path can't be told from the path.
type urlParts struct {
	scheme, user, middle string
	query                []string
	fragment             string
	// hasUser and hasQuery tell an empty part from none.
	hasUser, hasQuery bool
}

func cutURL(text string) (p urlParts) {
	rest := text
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest, p.fragment = rest[:i], rest[i:]
	}
	if before, query, found := strings.Cut(rest, "?"); found {
		rest, p.query, p.hasQuery = before, strings.Split(query, "&"), true
	}
	scheme, rest, found := strings.Cut(rest, "://")
	if !found {
		p.middle = scheme
		return p
	}
	p.scheme = scheme + "://"
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		p.user, p.hasUser, authority = authority[:i], true, authority[i+1:]
	}
	p.middle = authority + path
	return p
}

func (p urlParts) String() string {
	text := p.scheme
	if p.hasUser {
		text += p.user + "@"
	}
	text += p.middle
	if p.hasQuery {
		text += "?" + strings.Join(p.query, "&")
	}
	return text + p.fragment
}

// secret says that there is something to be masked.
func (p urlParts) secret() bool { return p.user != "" || strings.Join(p.query, "") != "" }

// maskURL is a URL as it is stored and shown.
func maskURL(text string) string {
	p := cutURL(text)
	if p.user != "" {
		p.user = maskAfter(p.user, ":")
	}
	for i, piece := range p.query {
		p.query[i] = maskAfter(piece, "=")
	}
	return p.String()
}

// maskAfter masks what stands after a mark, or all without one.
func maskAfter(piece, mark string) string {
	name, _, found := strings.Cut(piece, mark)
	switch {
	case piece == "":
		return ""
	case found:
		return name + mark + core.Masked
	}
	return core.Masked
}

// unmaskURL takes what is masked in a URL from the one that was there. ok is false
// for a mask of something that was not.
func unmaskURL(text, old string) (whole string, ok bool) {
	if old != "" && text == maskURL(old) {
		return old, true
	}
	p, was := cutURL(text), cutURL(old)
	if p.user == maskAfter(p.user, ":") && p.user != "" {
		if !was.hasUser || maskAfter(was.user, ":") != p.user {
			return "", false
		}
		p.user = was.user
	}
	for i, piece := range p.query {
		if piece == "" || piece != maskAfter(piece, "=") {
			continue
		}
		n := nth(p.query[:i+1], piece)
		found := false
		for _, before := range was.query {
			if maskAfter(before, "=") != piece {
				continue
			}
			if n--; n == 0 {
				p.query[i], found = before, true
				break
			}
		}
		if !found {
			return "", false
		}
	}
	return p.String(), true
}

// nth counts how often a piece is in a list.
func nth(pieces []string, piece string) (n int) {
	for _, p := range pieces {
		if p == piece || maskAfter(p, "=") == piece {
			n++
		}
	}
	return n
}

// minQuerySecret is how many bytes a value of a query has to have to be taken out of
// texts: shorter ones are words like true.
const minQuerySecret = 8

// urlSecrets are the values of a URL that must not be in texts, as they stand in it
// and as they are read.
func urlSecrets(text string) (values []string) {
	p := cutURL(text)
	add := func(v string, least int, read func(string) (string, error)) {
		if len(v) < least {
			return
		}
		values = append(values, v)
		if meant, err := read(v); err == nil && meant != v {
			values = append(values, meant)
		}
	}
	if p.user != "" {
		name, password, found := strings.Cut(p.user, ":")
		if !found {
			password = name
		}
		add(password, minSecret, url.PathUnescape)
	}
	for _, piece := range p.query {
		name, value, found := strings.Cut(piece, "=")
		if !found {
			value = name
		}
		add(value, minQuerySecret, url.QueryUnescape)
	}
	return values
}
