// Package auth authenticates users with passwords, access tokens, refresh tokens and API keys.
//
// A sign-in creates a login, a family of tokens that ends as a whole. Access tokens are JWTs that
// are valid for an hour, and each names its login. The state of a login is read at most once a
// second, so that signing out and disabling a user take effect immediately on this server and within
// a second on other replicas.
//
// Refresh tokens are derived from the login's id and its generation with a secret key. Only the
// hash of the current one is stored:
//
//	presented token        result
//	the current one        the next generation, by compare-and-swap
//	its predecessor        within a grace period of 5 s the current one, so that parallel
//	                       uses of one token agree; later the login ends
//	an older one           the login ends
//	an unknown one         401, and nothing changes
//	an access token        another access token, and never a refresh token
//
// A login ends at its maximum age, however often it is refreshed.
package auth
