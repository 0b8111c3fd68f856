// Package api serves AgentArea over HTTP: one file a resource, one error
// mapper (errors.go), one docs page (docs.go). Handlers decode, ask core's
// interfaces and encode; they decide nothing about ownership, which the stores
// do, and execute nothing, which the Runner does.
//
// A request passes, from the outside in: observe (id, log line, panics,
// headers), the router (both slash forms of each path), authenticate, checkText
// and readBody (size, depth, syntax, NUL), Huma's validation, the handler. The
// bytes of files pass as streams: an upload goes by readBody to its handler
// (multipart.go), and a download leaves by http.ServeContent (filesender.go).
package api
