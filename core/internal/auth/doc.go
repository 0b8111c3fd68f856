// Package auth keeps passwords and tokens.
//
// A sign-in makes a login: a family of tokens that ends as a whole. Access
// tokens are JWTs that live for an hour; each names its login, and the login's
// state is asked at most once a second, so logout and disabling a user are in
// force within a second on every replica and at once on this one. Refresh
// tokens are derived from the login's id and generation by a secret key, and
// only the hash of the current one is stored:
//
//	presented token        answer
//	the current one        the next generation, by compare-and-swap
//	its predecessor        within a grace of 5 s the current one again, so that
//	                       parallel uses of one token agree; later the login ends
//	an older one           the login ends
//	not one of ours        401, and nothing changes
package auth
