package core

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Resource is a part of the API that an API key may be good for.
type Resource string

// The resources. What only admins may do is ResourceAdmin, whatever it is about;
// keys themselves and the account are managed with ScopeAll or a sign-in.
const (
	ResourceAgents Resource = "agents"
	ResourceChat   Resource = "chat"
	ResourceTasks  Resource = "tasks"
	ResourceFiles  Resource = "files"
	ResourceMCP    Resource = "mcp"
	ResourceAdmin  Resource = "admin"
	// ResourceAccount is asked for by no scope but ScopeAll.
	ResourceAccount Resource = "account"
	// ResourceNone is open to every key.
	ResourceNone Resource = ""
)

// Scope is what an API key is good for: ScopeAll, or a resource with :read or
// :write, which may read too.
type Scope string

// ScopeAll is all that the key's user may do.
const ScopeAll Scope = "*"

// Scopes are all there are.
func Scopes() []Scope {
	scopes := []Scope{ScopeAll}
	for _, r := range []Resource{ResourceAgents, ResourceChat, ResourceTasks, ResourceFiles, ResourceMCP, ResourceAdmin} {
		scopes = append(scopes, Scope(r)+":read", Scope(r)+":write")
	}
	return scopes
}

// APIKey stands for its user wherever an access token does, until it expires or
// is deleted, or its user is disabled.
type APIKey struct {
	ID     string
	UserID string
	Name   string
	Scopes []Scope
	// Hash is the SHA-256 of the key, which is shown once and not kept.
	Hash      []byte
	CreatedAt time.Time
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt time.Time
	// LastUsedAt is up to a minute behind; zero for a key that was never used.
	LastUsedAt time.Time
}

// Allows says whether a scope of the key covers that much of a resource.
func (k *APIKey) Allows(resource Resource, write bool) bool {
	return resource == ResourceNone || slices.ContainsFunc(k.Scopes, func(s Scope) bool {
		if s == ScopeAll {
			return true
		}
		of, verb, _ := strings.Cut(string(s), ":")
		return Resource(of) == resource && (verb == "write" || !write)
	})
}

// APIKeyStore keeps API keys. A viewer sees and deletes the own ones, an admin all.
type APIKeyStore interface {
	// CreateAPIKey fails with Conflict when the user has a key of that name, or
	// MaxAPIKeys of them.
	CreateAPIKey(ctx context.Context, k *APIKey) error
	// APIKey fails with NotFound.
	APIKey(ctx context.Context, v Actor, id string) (*APIKey, error)
	// APIKeys lists a user's newest first, with the count of all; an empty userID
	// is everybody the viewer sees.
	APIKeys(ctx context.Context, v Actor, userID string, p Page) ([]*APIKey, int, error)
	// DeleteAPIKey fails with NotFound.
	DeleteAPIKey(ctx context.Context, v Actor, id string) error
	// SetAPIKeyLastUsed stores when a key was last used. That it is gone by then is no failure.
	SetAPIKeyLastUsed(ctx context.Context, id string, at time.Time) error
}

// MaxAPIKeys is how many keys a user may have.
const MaxAPIKeys = 100
