// Calls a server with the types that openapi-typescript generates from the server's OpenAPI document:
// node client.js URL USERNAME PASSWORD.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type RunEvent = components["schemas"]["RunEvent"];

const [baseUrl, username, password] = process.argv.slice(2) as [string, string, string];

const anonymous = createClient<paths>({ baseUrl });
const login = await anonymous.POST("/v1/auth/login", { body: { username, password } });
assert(login.data, login.error?.error.message);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${login.data.access_token}` } });

// Fields with a default value can be omitted.
const made = await client.POST("/v1/agents", {
  body: { name: "made by openapi-typescript", type: "chat", config: { model: "echo" } },
});
assert(made.data, made.error?.error.message);
const path = { agent_id: made.data.id };

const answer = await client.POST("/v1/agents/{agent_id}/chat", { params: { path }, body: { message: "Good day" } });
assert(answer.data && "timestamp" in answer.data && "session_id" in answer.data, answer.error?.error.message);
assert.equal((answer.data as components["schemas"]["ChatReply"]).message, "Good day");

const stream = await client.POST("/v1/agents/{agent_id}/chat", {
  params: { path },
  body: { message: "Good day", stream: true },
  parseAs: "text",
});
assert(stream.data, stream.error?.error.message);
let text = "";
let last: RunEvent | undefined;
for (const line of (stream.data as unknown as string).split("\n")) {
  if (!line.startsWith("data: ")) continue;
  last = JSON.parse(line.slice("data: ".length)) as RunEvent;
  if (last.type === "token") text += last.content;
  if (last.type === "error") assert.fail(last.error.message);
}
assert.equal(text, "Good day");
assert(last?.type === "end" && last.message_id);

const list = await client.GET("/v1/agents", { params: { query: { limit: 1 } } });
assert.equal(list.data?.agents.length, 1);

const none = await client.GET("/v1/runs/{run_id}", { params: { path: { run_id: "run-none" } } });
assert.equal(none.error?.error.code, "NOT_FOUND");
assert(none.error?.error.request_id);

const deleted = await client.DELETE("/v1/agents/{agent_id}", { params: { path } });
assert.equal(deleted.response.status, 204);
