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

// Principal is who a request comes from, by its access token.
type Principal struct {
	User *User
	// LoginID is that of the sign-in that the token belongs to.
	LoginID string
	// ExpiresAt is when the token ends; zero when it was not by a token.
	ExpiresAt time.Time
}

// Viewer is the principal as the stores know it.
func (p *Principal) Viewer() Viewer { return Viewer{UserID: p.User.ID, Role: p.User.Role} }
