package core

import "time"

// Tokens is the result of a sign-in or a refresh.
type Tokens struct {
	Access string
	// ExpiresIn is the remaining lifetime of Access.
	ExpiresIn time.Duration
	// Refresh is the next refresh token. It is empty if the tokens were issued for an access token.
	Refresh string
	User    *User
}

// Principal is the authenticated sender of a request.
type Principal struct {
	User *User
	// LoginID is the login that the access token belongs to. It is empty for an API key.
	LoginID string
	// Key is the API key of the request. It is nil for an access token.
	Key *APIKey
	// ExpiresAt is the time at which the token or key expires. It is zero if it does not expire.
	ExpiresAt time.Time
}

// Credential returns the id of the API key or of the login.
func (p *Principal) Credential() string {
	if p.Key != nil {
		return p.Key.ID
	}
	return p.LoginID
}

// Allows reports whether the credential allows reading, or if write is true changing, the resource.
// An access token of a login allows everything that its user is allowed to do.
func (p *Principal) Allows(resource Resource, write bool) bool {
	return p.Key == nil || p.Key.Allows(resource, write)
}

// Actor returns the actor that the principal is for the stores.
func (p *Principal) Actor() Actor { return Actor{UserID: p.User.ID, Role: p.User.Role} }
