package core

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Resource is a part of the API to which an API key can be restricted.
type Resource string

// The resources. All endpoints for administrators belong to ResourceAdmin. API keys and the account
// itself can be managed only with ScopeAll or with a sign-in.
const (
	ResourceAgents Resource = "agents"
	ResourceChat   Resource = "chat"
	ResourceTasks  Resource = "tasks"
	ResourceFiles  Resource = "files"
	ResourceMCP    Resource = "mcp"
	ResourceAdmin  Resource = "admin"
	// ResourceAccount is covered by ScopeAll only.
	ResourceAccount Resource = "account"
	// ResourceNone is allowed for every key.
	ResourceNone Resource = ""
)

// Scope is a permission of an API key: ScopeAll, or a resource followed by ":read" or ":write".
// A write scope includes reading.
type Scope string

// ScopeAll allows everything that the key's user is allowed to do.
const ScopeAll Scope = "*"

// Scopes returns all valid scopes.
func Scopes() []Scope {
	scopes := []Scope{ScopeAll}
	for _, r := range []Resource{ResourceAgents, ResourceChat, ResourceTasks, ResourceFiles, ResourceMCP, ResourceAdmin} {
		scopes = append(scopes, Scope(r)+":read", Scope(r)+":write")
	}
	return scopes
}

// APIKey is a credential that is accepted in place of an access token. It is valid until it
// expires or is deleted, or until its user is disabled.
type APIKey struct {
	ID     string
	UserID string
	// ParentID is the key that created this key, and is deleted with it. It is empty for a key that was created
	// with a sign-in.
	ParentID string
	Name     string
	Scopes   []Scope
	// Hash is the SHA-256 hash of the key. The key itself is returned once and never stored.
	Hash      []byte
	CreatedAt time.Time
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt time.Time
	// LastUsedAt is accurate to a minute. It is zero for a key that was never used.
	LastUsedAt time.Time
}

// Covers reports whether the key allows everything that a key with the scope s would allow.
func (k *APIKey) Covers(s Scope) bool {
	if s == ScopeAll {
		return slices.Contains(k.Scopes, ScopeAll)
	}
	of, verb, _ := strings.Cut(string(s), ":")
	return k.Allows(Resource(of), verb == "write")
}

// Allows reports whether one of the key's scopes allows reading, or if write is true changing,
// the resource.
func (k *APIKey) Allows(resource Resource, write bool) bool {
	return resource == ResourceNone || slices.ContainsFunc(k.Scopes, func(s Scope) bool {
		if s == ScopeAll {
			return true
		}
		of, verb, _ := strings.Cut(string(s), ":")
		return Resource(of) == resource && (verb == "write" || !write)
	})
}

// APIKeyStore stores API keys. Actors see and delete their own keys, admins all keys.
type APIKeyStore interface {
	// CreateAPIKey stores a new key. It fails with Conflict if the user has a key with the same
	// name, or has the maximum number of keys, and with NotFound if its parent does not exist.
	CreateAPIKey(ctx context.Context, audit *AuditRecord, k *APIKey) error
	// APIKey returns the key with the given id. It fails with NotFound.
	APIKey(ctx context.Context, actor Actor, id string) (*APIKey, error)
	// APIKeys returns a page of a user's keys, newest first, and the number of all matches. An
	// empty userID matches all keys that the actor can see.
	APIKeys(ctx context.Context, actor Actor, userID string, p Page) ([]*APIKey, int, error)
	// DeleteAPIKey deletes a key, the keys that were created with it, the keys that were created with
	// those, and so on. It fails with NotFound.
	DeleteAPIKey(ctx context.Context, audit *AuditRecord, actor Actor, id string) error
	// SetAPIKeyLastUsed stores when a key was last used. It succeeds if the key no longer exists.
	SetAPIKeyLastUsed(ctx context.Context, id string, at time.Time) error
}
