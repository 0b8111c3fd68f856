// Package api is the HTTP framework of the server: routing, operations and their OpenAPI document,
// errors, request bodies, authentication, rate limits, the audit of requests, and event streams. It
// knows no resource. Each package below it serves one group of resources and registers its
// operations with Register.
//
// A request passes, from the outside in:
//
//  1. requestLogger: request id, security headers, authentication, panics, log line;
//  2. the rate limit;
//  3. the router, which accepts each path with and without its trailing slash;
//  4. audit, authorize, checkParameters and readBody, the middleware of an operation;
//  5. Huma's validation of parameters and body;
//  6. the handler of the group.
//
// A handler decodes, calls one of its small interfaces, and encodes. Services such as package agents of
// core/internal hold the rules, and stores decide what a caller may see. Files are never read into memory: an
// upload reaches its handler as a stream, and a download leaves through http.ServeContent.
package api
