// Package core defines AgentArea's domain types and the interfaces between its packages: the
// stores that package storage implements, the errors that all layers use, and the services
// through which the API reaches the engine and the plugins. It imports only the standard library
// and the root package of the SDK.
//
// The stores enforce who may see and change what. A method that takes an Actor returns NotFound
// for an object that the actor may not see, and Forbidden for an object that the actor may see
// but not change.
package core
