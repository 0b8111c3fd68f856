package api

import (
	"net/http"

	"github.com/agentarea/agentarea/core"
)

// limit counts each request, before anything is done for it: as its user's, whatever
// token or key was sent, or as its address's, which a token that is not alive is too.
func (a *api) limit(next http.Handler) http.Handler {
	if a.limits == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := requestOf(r.Context())
		var err error
		if p := req.principal; p != nil {
			err = a.limits.Admit(r, w.Header(), "user "+p.User.ID, p.User.Role)
		} else {
			err = a.limits.Admit(r, w.Header(), "address "+core.AddressKey(req.address), "")
		}
		if err != nil {
			writeError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
