package core

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// urlParts is a URL split at possible secrets: a password (or a user name without one) and
// the values of its query. A secret in the path cannot be recognized.
type urlParts struct {
	scheme, user, middle string
	query                []string
	fragment             string
	// hasUser and hasQuery distinguish an empty part from a missing one.
	hasUser, hasQuery bool
}

func splitURL(text string) (p urlParts) {
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

// hasSecret reports whether a part must be masked.
func (p urlParts) hasSecret() bool { return p.user != "" || strings.Join(p.query, "") != "" }

// maskURL returns a URL with masked secrets, as it is stored and returned to users.
func maskURL(text string) string {
	p := splitURL(text)
	if p.user != "" {
		p.user = maskAfter(p.user, ":")
	}
	for i, piece := range p.query {
		p.query[i] = maskAfter(piece, "=")
	}
	return p.String()
}

// maskAfter masks the text after a separator, or the complete piece if there is none.
func maskAfter(piece, mark string) string {
	name, _, found := strings.Cut(piece, mark)
	switch {
	case piece == "":
		return ""
	case found:
		return name + mark + Masked
	}
	return Masked
}

// unmaskURL replaces masked parts of a URL by those of the old URL. ok is false if a
// masked part is not in the old URL.
func unmaskURL(text, old string) (unmasked string, ok bool) {
	if old != "" && text == maskURL(old) {
		return old, true
	}
	p, was := splitURL(text), splitURL(old)
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
		n := occurrences(p.query[:i+1], piece)
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

// hasMask reports whether a part of a URL is masked.
func hasMask(text string) bool {
	p := splitURL(text)
	if p.user != "" && p.user == maskAfter(p.user, ":") {
		return true
	}
	return slices.ContainsFunc(p.query, func(piece string) bool { return piece != "" && piece == maskAfter(piece, "=") })
}

// urlTarget returns the scheme, host and port to which a client sends the secrets of a URL. If that is
// uncertain, it returns the complete URL with masked secrets. Programs can read an invalid URL differently,
// such as https://a.example\@b.example.
func urlTarget(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "invalid " + maskURL(text)
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	switch {
	case port != "":
	case scheme == "http", scheme == "ws":
		port = "80"
	case scheme == "https", scheme == "wss":
		port = "443"
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// occurrences returns the number of times that a piece is in a list, masked or not.
func occurrences(pieces []string, piece string) (n int) {
	for _, p := range pieces {
		if p == piece || maskAfter(p, "=") == piece {
			n++
		}
	}
	return n
}

// minQuerySecret is the minimum length of a redacted query value, in bytes. Shorter
// values are often words such as true.
const minQuerySecret = 8

// urlSecrets returns the secret values of a URL, both encoded and decoded.
func urlSecrets(text string) (values []string) {
	p := splitURL(text)
	add := func(v string, least int, read func(string) (string, error)) {
		if len(v) < least {
			return
		}
		values = append(values, v)
		if decoded, err := read(v); err == nil && decoded != v {
			values = append(values, decoded)
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
