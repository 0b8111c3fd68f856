// Package agents holds the rules of agents: what a valid config is, which status an agent has, and which
// agents accept messages. It is the service behind the HTTP handlers of agents; chat, tasks and the run
// engine ask it for the agents that they use.
//
// An agent's type comes from an agent plugin, and its model from a provider plugin. A config is checked
// when it is stored, against the JSON Schema of the type and the models of the providers. A plugin that is
// down later does not change the agent: the service then reports the status error.
package agents
