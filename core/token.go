package core

import "time"

// Tokens are what a sign-in or a refresh gives.
type Tokens struct {
	Access string
	// ExpiresIn is how long Access lives from now on.
	ExpiresIn time.Duration
	Refresh   string
	User      *User
}

// Principal is who a request comes from, by its access token or API key.
type Principal struct {
	User *User
	// LoginID is that of the sign-in that the token belongs to; empty for an API key.
	LoginID string
	// Key is the API key that was sent; nil for a sign-in.
	Key *APIKey
	// ExpiresAt is when the token or key ends; zero when it does not.
	ExpiresAt time.Time
}

// Credential is the id of the sign-in or of the API key: what ends as a whole.
func (p *Principal) Credential() string {
	if p.Key != nil {
		return p.Key.ID
	}
	return p.LoginID
}

// Allows says whether the credential is good for that much of a resource. A
// sign-in is good for all that its user may do.
func (p *Principal) Allows(resource Resource, write bool) bool {
	return p.Key == nil || p.Key.Allows(resource, write)
}

// Actor is the principal as the stores know it.
func (p *Principal) Actor() Actor { return Actor{UserID: p.User.ID, Role: p.User.Role} }
