// The client. It has a method for each operation of the API, named after the operation.

import { AgentAreaError, ChecksumMismatch, ConnectionFailed, connectionLost } from "./errors.js";
import { Sha256, createPartial, digest, formOf, openSource } from "./files.js";
import { EventStream, LogStream, RunStream } from "./stream.js";
import { Transport } from "./transport.js";
import { AgentAreaWebSocket } from "./websocket.js";

/** @import * as api from "./types.js" */
/** @import { Source, Target } from "./files.js" */
/** @import { StreamOptions } from "./stream.js" */
/** @import { RequestOptions } from "./transport.js" */
/** @import { WebSocketOptions } from "./websocket.js" */

/**
 * @typedef {object} ClientOptions
 * @property {string} [refreshToken] used to get a new access token when the server rejects the old one
 * @property {number} [timeout] how many seconds to wait for a response, and between two chunks of it; default 30
 * @property {number} [retries] maximum number of retries; default 3; 0: never. A request is retried after a 429 (after
 *   its Retry-After) and, if it is idempotent, after a 503 or a connection error
 * @property {(tokens: api.Tokens) => unknown} [onTokens] called with each reply that has new tokens, so that you can store them
 * @property {typeof globalThis.fetch} [fetch] a replacement of the global fetch
 */

/**
 * Additional properties of a reply: the object's version for ifMatch, and the request's id in the server's log.
 *
 * @typedef {{readonly etag?: string, readonly requestId?: string}} Reply
 */

/** @typedef {{limit?: number, offset?: number}} Page */
/** @typedef {{ifMatch?: string}} IfMatch */

// Timeout of an answer that is not streamed, in seconds. It is also the limit of Node.js.
const chatTimeout = 300;

// The page size of the iterators, which is the API's maximum.
const pageSize = 100;

/**
 * A client of an AgentArea server for one user.
 *
 * Methods return the JSON object of the response, with the additional properties etag and requestId, and throw an
 * AgentAreaError. Their last argument accepts a signal and a timeout in seconds.
 */
export class AgentAreaClient {
  #transport;

  /**
   * @param {string} baseUrl the server's URL, such as "http://localhost:8000"
   * @param {string} [token] an access token or an API key; login gets one for a password
   * @param {ClientOptions} [options]
   */
  constructor(baseUrl, token, options = {}) {
    this.#transport = new Transport(baseUrl, token, options);
  }

  /**
   * Signs in and returns a client, which refreshes its tokens automatically.
   *
   * @param {string} baseUrl
   * @param {string} username
   * @param {string} password
   * @param {ClientOptions & RequestOptions} [options]
   * @returns {Promise<AgentAreaClient>}
   */
  static async login(baseUrl, username, password, { signal, ...options } = {}) {
    const client = new AgentAreaClient(baseUrl, undefined, options);
    await client.#transport.setTokens(
      await client.#transport.call("POST", "/v1/auth/login", { json: { username, password }, authenticated: false, signal }),
    );
    return client;
  }

  /** Aborts all requests in progress. It does not end the login; logout does. */
  close() {
    this.#transport.close();
  }

  get baseUrl() {
    return this.#transport.baseUrl;
  }

  /** The current access token or API key. */
  get token() {
    return this.#transport.token;
  }

  /** The current refresh token. It replaces all earlier ones. */
  get refreshToken() {
    return this.#transport.refreshToken;
  }

  /** The latest X-RateLimit-* headers; empty if there are none. */
  get rateLimit() {
    return this.#transport.rateLimit;
  }

  // Health

  /** @param {RequestOptions} [options] @returns {Promise<api.Health & Reply>} */
  health(options) {
    return this.#call("GET", "/health", options);
  }

  /** @param {RequestOptions} [options] @returns {Promise<api.Readiness & Reply>} */
  healthReady(options) {
    return this.#call("GET", "/health/ready", options);
  }

  // Authentication

  /** Gets new tokens now. A rejected access token is refreshed automatically. @returns {Promise<api.Tokens & Reply>} */
  refresh() {
    return this.#transport.refresh();
  }

  /** Ends the login and revokes its tokens. @param {RequestOptions} [options] */
  async logout(options) {
    await this.#call("POST", "/v1/auth/logout", options);
    this.#transport.token = this.#transport.refreshToken = undefined;
  }

  /** Ends all your logins, this one too, and deletes all your API keys. @param {RequestOptions} [options] */
  async endSessions(options) {
    await this.#call("POST", "/v1/auth/end-sessions", options);
    this.#transport.token = this.#transport.refreshToken = undefined;
  }

  /** @param {RequestOptions} [options] @returns {Promise<api.User & Reply>} */
  me(options) {
    return this.#call("GET", "/v1/auth/me", options);
  }

  /**
   * Changes your own password. This ends all other logins, but keeps API keys.
   *
   * @param {string} currentPassword @param {string} newPassword @param {RequestOptions} [options]
   */
  async changePassword(currentPassword, newPassword, options) {
    const json = { current_password: currentPassword, new_password: newPassword };
    await this.#call("POST", "/v1/auth/password", options, { json });
  }

  /**
   * Your own API keys, newest first. userId: another user's, or "*" for all (admins only).
   *
   * @param {Page & {userId?: string} & RequestOptions} [options] @returns {Promise<api.ApiKeyList & Reply>}
   */
  listApiKeys(options) {
    return this.#list("/v1/api-keys/", options);
  }

  /** @param {{userId?: string} & RequestOptions} [options] @returns {AsyncGenerator<api.ApiKey>} */
  iterApiKeys(options) {
    return this.#pages("/v1/api-keys/", "api_keys", options);
  }

  /**
   * Creates an API key. The reply's key is a token for a client; it is only returned once.
   *
   * @param {string} name
   * @param {string[]} scopes ["*"] for all of the user's permissions, or for example "agents:read" and "chat:write"
   * @param {{expiresAt?: string | Date} & RequestOptions} [options]
   * @returns {Promise<api.NewAPIKey & Reply>}
   */
  createApiKey(name, scopes, { expiresAt, ...options } = {}) {
    return this.#call("POST", "/v1/api-keys/", options, { json: { name, scopes, expires_at: expiresAt } });
  }

  /** @param {string} keyId @param {RequestOptions} [options] @returns {Promise<api.ApiKey & Reply>} */
  getApiKey(keyId, options) {
    return this.#call("GET", path`/v1/api-keys/${keyId}`, options);
  }

  /** @param {string} keyId @param {RequestOptions} [options] */
  async deleteApiKey(keyId, options) {
    await this.#call("DELETE", path`/v1/api-keys/${keyId}`, options);
  }

  // Agents

  /** @param {Page & {type?: string, status?: api.Agent["status"]} & RequestOptions} [options] @returns {Promise<api.AgentList & Reply>} */
  listAgents(options) {
    return this.#list("/v1/agents/", options);
  }

  /** @param {{type?: string, status?: api.Agent["status"]} & RequestOptions} [options] @returns {AsyncGenerator<api.Agent>} */
  iterAgents(options) {
    return this.#pages("/v1/agents/", "agents", options);
  }

  /**
   * @param {string} name
   * @param {string} type one of listAgentTypes; its config_schema describes config
   * @param {object} [config]
   * @param {Omit<api.AgentRequest, "name" | "type" | "config"> & RequestOptions} [options]
   * @returns {Promise<api.Agent & Reply>}
   */
  createAgent(name, type, config, { description, status, shared, ...options } = {}) {
    return this.#call("POST", "/v1/agents/", options, { json: { name, type, config, description, status, shared } });
  }

  /** @param {string} agentId @param {RequestOptions} [options] @returns {Promise<api.Agent & Reply>} */
  getAgent(agentId, options) {
    return this.#call("GET", path`/v1/agents/${agentId}`, options);
  }

  /**
   * Replaces an agent with a modified reply of getAgent. With its etag as ifMatch, PreconditionFailed is thrown if the
   * agent has changed since then.
   *
   * @param {string} agentId @param {api.AgentReplacement} agent @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.Agent & Reply>}
   */
  replaceAgent(agentId, agent, options) {
    return this.#call("PUT", path`/v1/agents/${agentId}`, options, { json: agent });
  }

  /**
   * Applies a merge patch: omitted fields keep their value; null removes a field.
   *
   * @param {string} agentId @param {api.AgentChange} changes @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.Agent & Reply>}
   */
  changeAgent(agentId, changes, options) {
    return this.#call("PATCH", path`/v1/agents/${agentId}`, options, { json: changes });
  }

  /** @param {string} agentId @param {IfMatch & RequestOptions} [options] */
  async deleteAgent(agentId, options) {
    await this.#call("DELETE", path`/v1/agents/${agentId}`, options);
  }

  /** @param {RequestOptions} [options] @returns {Promise<api.AgentTypes & Reply>} */
  listAgentTypes(options) {
    return this.#call("GET", "/v1/agent-types", options);
  }

  /** @param {RequestOptions} [options] @returns {Promise<api.Models & Reply>} */
  listModels(options) {
    return this.#call("GET", "/v1/models", options);
  }

  // Chat

  /**
   * Sends a message and returns the answer. Without sessionId it starts a conversation, which you continue with the
   * reply's session_id. A failed request is not retried; see chatHistory for whether the message was received.
   *
   * @param {string} agentId
   * @param {string} message
   * @param {{sessionId?: string, fileIds?: string[]} & RequestOptions} [options]
   * @returns {Promise<api.ChatReply & Reply>}
   */
  chat(agentId, message, { sessionId, fileIds, timeout = chatTimeout, ...options } = {}) {
    const json = { message, session_id: sessionId, file_ids: fileIds };
    return this.#call("POST", path`/v1/agents/${agentId}/chat`, { timeout, ...options }, { json });
  }

  /**
   * Sends a message and streams the events of the answer. Lost connections are restored.
   *
   * @param {string} agentId
   * @param {string} message
   * @param {{sessionId?: string, fileIds?: string[]} & StreamOptions} [options]
   * @returns {Promise<RunStream>}
   */
  chatStream(agentId, message, { sessionId, fileIds, ...options } = {}) {
    const json = { message, stream: true, session_id: sessionId, file_ids: fileIds };
    return new RunStream(this.#transport, options).open("POST", path`/v1/agents/${agentId}/chat`, json);
  }

  /**
   * The newest messages in chronological order. before: a message's timestamp, or a Date. userId: another user's
   * messages (admins only).
   *
   * @param {string} agentId
   * @param {{sessionId?: string, limit?: number, before?: string | Date, userId?: string} & RequestOptions} [options]
   * @returns {Promise<api.History & Reply>}
   */
  chatHistory(agentId, options) {
    return this.#list(path`/v1/agents/${agentId}/chat/history`, options);
  }

  /**
   * All messages, newest first.
   *
   * @param {string} agentId
   * @param {{sessionId?: string, userId?: string} & RequestOptions} [options]
   * @returns {AsyncGenerator<api.Message>}
   */
  async *iterChatHistory(agentId, options) {
    for (let before; ; ) {
      const page = await this.chatHistory(agentId, { ...options, limit: pageSize, before });
      yield* page.messages.toReversed();
      if (!page.has_more) return;
      before = page.messages[0].timestamp;
    }
  }

  /** @param {string} agentId @param {Page & {userId?: string} & RequestOptions} [options] @returns {Promise<api.SessionList & Reply>} */
  listSessions(agentId, options) {
    return this.#list(path`/v1/agents/${agentId}/sessions`, options);
  }

  /** @param {string} agentId @param {{userId?: string} & RequestOptions} [options] @returns {AsyncGenerator<api.Session>} */
  iterSessions(agentId, options) {
    return this.#pages(path`/v1/agents/${agentId}/sessions`, "sessions", options);
  }

  /** @param {string} agentId @param {string} sessionId @param {{userId?: string} & RequestOptions} [options] */
  async deleteSession(agentId, sessionId, { userId, ...options } = {}) {
    await this.#call("DELETE", path`/v1/agents/${agentId}/sessions/${sessionId}`, options, { params: { user_id: userId } });
  }

  // Runs

  /** @param {string} runId @param {RequestOptions} [options] @returns {Promise<api.Run & Reply>} */
  getRun(runId, options) {
    return this.#call("GET", path`/v1/runs/${runId}`, options);
  }

  /** @param {string} runId @param {RequestOptions} [options] @returns {Promise<api.Run & Reply>} */
  cancelRun(runId, options) {
    return this.#call("POST", path`/v1/runs/${runId}/cancel`, options);
  }

  /**
   * Streams the events of a run until its end, from the first one or after an eventId.
   *
   * @param {string} runId
   * @param {{after?: number} & StreamOptions} [options]
   * @returns {Promise<RunStream>}
   */
  runEvents(runId, options) {
    return this.#watch(path`/v1/runs/${runId}/events`, options);
  }

  // Tasks

  /**
   * Queues a task for an agent. Retries after a connection error do not create a second task. With an idempotencyKey,
   * neither do repeated calls.
   *
   * @param {string} title
   * @param {string} agentId
   * @param {{description?: string, priority?: api.Task["priority"], data?: object, fileIds?: string[],
   *   timeoutSeconds?: number, maxAttempts?: number, idempotencyKey?: string} & RequestOptions} [options]
   * @returns {Promise<api.Task & Reply>}
   */
  createTask(title, agentId, options = {}) {
    const { description, priority, data, fileIds, timeoutSeconds, maxAttempts, idempotencyKey = newKey(), ...rest } = options;
    return this.#call("POST", "/v1/tasks/", rest, {
      json: {
        title,
        agent_id: agentId,
        description,
        priority,
        data,
        file_ids: fileIds,
        timeout_seconds: timeoutSeconds,
        max_attempts: maxAttempts,
      },
      headers: { "Idempotency-Key": idempotencyKey },
      idempotent: true,
    });
  }

  /**
   * @param {Page & {status?: api.Task["status"], agentId?: string, priority?: api.Task["priority"]} & RequestOptions} [options]
   * @returns {Promise<api.TaskList & Reply>}
   */
  listTasks(options) {
    return this.#list("/v1/tasks/", options);
  }

  /**
   * @param {{status?: api.Task["status"], agentId?: string, priority?: api.Task["priority"]} & RequestOptions} [options]
   * @returns {AsyncGenerator<api.Task>}
   */
  iterTasks(options) {
    return this.#pages("/v1/tasks/", "tasks", options);
  }

  /** @param {string} taskId @param {RequestOptions} [options] @returns {Promise<api.Task & Reply>} */
  getTask(taskId, options) {
    return this.#call("GET", path`/v1/tasks/${taskId}`, options);
  }

  /** @param {string} taskId @param {RequestOptions} [options] @returns {Promise<api.Task & Reply>} */
  cancelTask(taskId, options) {
    return this.#call("POST", path`/v1/tasks/${taskId}/cancel`, options);
  }

  /**
   * Streams the events of a task's run, from its start until its end.
   *
   * @param {string} taskId
   * @param {{after?: number} & StreamOptions} [options]
   * @returns {Promise<RunStream>}
   */
  taskEvents(taskId, options) {
    return this.#watch(path`/v1/tasks/${taskId}/events`, options);
  }

  // MCP servers

  /** @param {Page & RequestOptions} [options] @returns {Promise<api.McpServerList & Reply>} */
  listMcpServers(options) {
    return this.#list("/v1/mcp-servers/", options);
  }

  /** @param {RequestOptions} [options] @returns {AsyncGenerator<api.MCPServer>} */
  iterMcpServers(options) {
    return this.#pages("/v1/mcp-servers/", "servers", options);
  }

  /**
   * @param {string} name
   * @param {object} config {command, args, env} for a program (admins only), or {url, headers}
   * @param {{slug?: string, description?: string, transport?: string, shared?: boolean, autoStart?: boolean} & RequestOptions} [options]
   * @returns {Promise<api.MCPServer & Reply>}
   */
  createMcpServer(name, config, { slug, description, transport, shared, autoStart, ...options } = {}) {
    const json = { name, config, slug, description, transport, shared, auto_start: autoStart };
    return this.#call("POST", "/v1/mcp-servers/", options, { json });
  }

  /** @param {string} serverId @param {RequestOptions} [options] @returns {Promise<api.MCPServer & Reply>} */
  getMcpServer(serverId, options) {
    return this.#call("GET", path`/v1/mcp-servers/${serverId}`, options);
  }

  /**
   * Replaces a server with a modified reply of getMcpServer. A secret *** is kept.
   *
   * @param {string} serverId @param {api.McpServerReplacement} server @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.MCPServer & Reply>}
   */
  replaceMcpServer(serverId, server, options) {
    return this.#call("PUT", path`/v1/mcp-servers/${serverId}`, options, { json: server });
  }

  /**
   * Applies a merge patch: omitted fields keep their value; null removes a field.
   *
   * @param {string} serverId @param {api.McpServerChange} changes @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.MCPServer & Reply>}
   */
  changeMcpServer(serverId, changes, options) {
    return this.#call("PATCH", path`/v1/mcp-servers/${serverId}`, options, { json: changes });
  }

  /**
   * force: delete the server although agents use it. Their runs then fail.
   *
   * @param {string} serverId @param {{force?: boolean} & IfMatch & RequestOptions} [options]
   */
  async deleteMcpServer(serverId, { force, ...options } = {}) {
    await this.#call("DELETE", path`/v1/mcp-servers/${serverId}`, options, { params: { force } });
  }

  /** @param {string} serverId @param {RequestOptions} [options] @returns {Promise<api.McpAction & Reply>} */
  startMcpServer(serverId, options) {
    return this.#call("POST", path`/v1/mcp-servers/${serverId}/start`, options);
  }

  /** @param {string} serverId @param {RequestOptions} [options] @returns {Promise<api.McpAction & Reply>} */
  stopMcpServer(serverId, options) {
    return this.#call("POST", path`/v1/mcp-servers/${serverId}/stop`, options);
  }

  /** @param {string} serverId @param {RequestOptions} [options] @returns {Promise<api.McpAction & Reply>} */
  restartMcpServer(serverId, options) {
    return this.#call("POST", path`/v1/mcp-servers/${serverId}/restart`, options);
  }

  /** @param {string} serverId @param {RequestOptions} [options] @returns {Promise<api.McpTools & Reply>} */
  listMcpTools(serverId, options) {
    return this.#call("GET", path`/v1/mcp-servers/${serverId}/tools`, options);
  }

  /**
   * The last lines of the log, newest last.
   *
   * @param {string} serverId @param {{tail?: number} & RequestOptions} [options] @returns {Promise<api.McpLog & Reply>}
   */
  mcpServerLogs(serverId, options) {
    return this.#list(path`/v1/mcp-servers/${serverId}/logs`, options);
  }

  /**
   * Streams the last and all new lines of the log until the server is deleted.
   *
   * @param {string} serverId @param {{tail?: number} & StreamOptions} [options] @returns {Promise<EventStream>}
   */
  followMcpServerLogs(serverId, { tail, ...options } = {}) {
    const resume = path`/v1/mcp-servers/${serverId}/logs`;
    return new LogStream(this.#transport, { ...options, params: { follow: true, tail }, resume }).open("GET", resume);
  }

  // Files

  /** @param {Page & {name?: string, contentType?: string} & RequestOptions} [options] @returns {Promise<api.FileList & Reply>} */
  listFiles(options) {
    return this.#list("/v1/files/", options);
  }

  /** @param {{name?: string, contentType?: string} & RequestOptions} [options] @returns {AsyncGenerator<api.File>} */
  iterFiles(options) {
    return this.#pages("/v1/files/", "files", options);
  }

  /**
   * Uploads a file: a path (Node.js only), a Blob or File, bytes, or a stream. The file is never completely in memory.
   * In Node.js the result is verified by its SHA-256.
   *
   * @param {Source} source
   * @param {{name?: string, metadata?: object} & RequestOptions} [options] timeout: default one hour
   * @returns {Promise<api.File & Reply>}
   */
  async uploadFile(source, { name, metadata, timeout = 3600, ...options } = {}) {
    const file = await openSource(source, name);
    const sha256 = await Sha256.load();
    const uploaded = await this.#call("POST", "/v1/files/upload", { timeout, ...options }, {
      form: () => formOf(file.content, file.name, metadata, sha256),
      repeatable: file.content instanceof Blob,
    });
    check(uploaded, sha256.hex());
    return uploaded;
  }

  /** @param {string} fileId @param {RequestOptions} [options] @returns {Promise<api.File & Reply>} */
  getFile(fileId, options) {
    return this.#call("GET", path`/v1/files/${fileId}`, options);
  }

  /**
   * Applies a merge patch of name and metadata.
   *
   * @param {string} fileId @param {api.FileChange} changes @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.File & Reply>}
   */
  changeFile(fileId, changes, options) {
    return this.#call("PATCH", path`/v1/files/${fileId}`, options, { json: changes });
  }

  /** @param {string} fileId @param {IfMatch & RequestOptions} [options] */
  async deleteFile(fileId, options) {
    await this.#call("DELETE", path`/v1/files/${fileId}`, options);
  }

  /**
   * Downloads a file to a path (Node.js only) or a WritableStream, which it closes, and returns the file's metadata. A
   * file at a path only appears when it is complete and verified by its SHA-256. After a connection error the download
   * is resumed.
   *
   * @param {string} fileId
   * @param {Target} target
   * @param {RequestOptions} [options]
   * @returns {Promise<api.File & Reply>}
   */
  async downloadFile(fileId, target, options) {
    const info = await this.getFile(fileId, options);
    const sha256 = await Sha256.load();
    if (target instanceof WritableStream) {
      const writer = target.getWriter();
      try {
        for await (const chunk of sha256.of(this.#bytes(info, options))) await writer.write(chunk);
        check(info, sha256.hex());
        await writer.close();
      } catch (failed) {
        await writer.abort(failed).catch(() => {});
        throw failed;
      }
      return info;
    }
    const partial = await createPartial(target);
    try {
      for await (const chunk of sha256.of(this.#bytes(info, options))) await partial.write(chunk);
      check(info, sha256.hex());
      await partial.finish();
    } catch (failed) {
      await partial.abandon();
      throw failed;
    }
    return info;
  }

  /**
   * Returns the content of a small file.
   *
   * @param {string} fileId
   * @param {RequestOptions} [options]
   * @returns {Promise<Uint8Array>}
   */
  async readFile(fileId, options) {
    const info = await this.getFile(fileId, options);
    const chunks = [];
    for await (const chunk of this.#bytes(info, options)) chunks.push(chunk);
    const content = new Uint8Array(await new Blob(/** @type {any} */ (chunks)).arrayBuffer());
    check(info, await digest(content));
    return content;
  }

  /**
   * Yields the chunks of a file. After a connection error it resumes the download.
   *
   * @param {api.File} info
   * @param {RequestOptions} [options]
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *#bytes(info, options) {
    let received = 0;
    for (let failures = 0; received < info.size; ) {
      const before = received;
      /** @type {any} */
      let failure = connectionLost("The download was interrupted");
      try {
        const headers = { Range: received ? `bytes=${received}-` : undefined };
        const connection = await this.#transport.open("GET", path`/v1/files/${info.id}/download`, { ...options, headers });
        if (received && connection.response.status !== 206) {
          connection.close();
          throw new AgentAreaError("INVALID_RESPONSE", "The server cannot resume the download");
        }
        for await (const chunk of connection.chunks()) {
          received += chunk.length;
          yield chunk;
        }
        if (received >= info.size) return;
      } catch (failed) {
        if (!(failed instanceof ConnectionFailed)) throw failed;
        failure = failed;
      }
      failures = received > before ? 1 : failures + 1;
      if (failures > this.#transport.retries) throw failure;
    }
  }

  /**
   * Moves all files of one backend to another and streams the progress (admins only). Closing the stream interrupts the
   * move; another call resumes it.
   *
   * @param {string} from @param {string} to @param {StreamOptions} [options] @returns {Promise<EventStream>}
   */
  moveFiles(from, to, options = {}) {
    return new EventStream(this.#transport, options).open("POST", "/v1/files/move", { from, to });
  }

  // Users, audit, usage and plugins

  /** @param {Page & RequestOptions} [options] @returns {Promise<api.UserList & Reply>} */
  listUsers(options) {
    return this.#list("/v1/users/", options);
  }

  /** @param {RequestOptions} [options] @returns {AsyncGenerator<api.User>} */
  iterUsers(options) {
    return this.#pages("/v1/users/", "users", options);
  }

  /**
   * @param {string} username
   * @param {string} email
   * @param {string} password
   * @param {{role?: api.User["role"]} & RequestOptions} [options] role: default member
   * @returns {Promise<api.User & Reply>}
   */
  createUser(username, email, password, { role, ...options } = {}) {
    return this.#call("POST", "/v1/users/", options, { json: { username, email, password, role } });
  }

  /** @param {string} userId @param {RequestOptions} [options] @returns {Promise<api.User & Reply>} */
  getUser(userId, options) {
    return this.#call("GET", path`/v1/users/${userId}`, options);
  }

  /**
   * Changes fields of a user; omitted fields keep their value. Disabling a user ends their logins immediately.
   *
   * @param {string} userId @param {api.UserChange} changes @param {RequestOptions} [options]
   * @returns {Promise<api.User & Reply>}
   */
  changeUser(userId, changes, options) {
    return this.#call("PATCH", path`/v1/users/${userId}`, options, { json: changes });
  }

  /**
   * Deletes a user and everything that the user has stored, or gives the user's objects to another user (admins only).
   *
   * @param {string} userId
   * @param {{transferTo?: string} & RequestOptions} [options] transferTo: the id of the user who gets the objects
   */
  async deleteUser(userId, { transferTo, ...options } = {}) {
    const params = { objects: transferTo ? "transfer" : "erase", to: transferTo };
    await this.#call("DELETE", path`/v1/users/${userId}`, options, { params });
  }

  /**
   * Yields the chunks of a ZIP archive with everything that is stored about a user.
   *
   * @param {string} userId @param {RequestOptions} [options] @returns {AsyncGenerator<Uint8Array>}
   */
  async *exportUser(userId, options) {
    const connection = await this.#transport.open("GET", path`/v1/users/${userId}/export`, { ...options });
    yield* connection.chunks();
  }

  /**
   * Sets a user's password and ends their logins (admins only).
   *
   * @param {string} userId @param {string} password
   * @param {{endApiKeys?: boolean} & RequestOptions} [options] endApiKeys also deletes the user's API keys
   */
  async resetPassword(userId, password, { endApiKeys, ...options } = {}) {
    await this.#call("POST", path`/v1/users/${userId}/password`, options, {
      json: { password, end_api_keys: endApiKeys },
    });
  }

  /**
   * Ends a user's logins and deletes their API keys (admins only).
   *
   * @param {string} userId @param {RequestOptions} [options]
   */
  async endUserSessions(userId, options) {
    await this.#call("POST", path`/v1/users/${userId}/end-sessions`, options);
  }

  /**
   * The audit log, newest first (admins only).
   *
   * @param {Page & {userId?: string, action?: string, target?: string, outcome?: api.AuditEntry["outcome"],
   *   requestId?: string, from?: string | Date, to?: string | Date} & RequestOptions} [options]
   * @returns {Promise<api.AuditList & Reply>}
   */
  listAudit(options) {
    return this.#list("/v1/audit", options);
  }

  /**
   * @param {{userId?: string, action?: string, target?: string, outcome?: api.AuditEntry["outcome"],
   *   requestId?: string, from?: string | Date, to?: string | Date} & RequestOptions} [options]
   * @returns {AsyncGenerator<api.AuditEntry>}
   */
  iterAudit(options) {
    return this.#pages("/v1/audit", "entries", options);
  }

  /**
   * from and to are days, such as "2025-01-31".
   *
   * @param {Page & {from?: string, to?: string, by?: string, agentId?: string, model?: string,
   *   userId?: string} & RequestOptions} [options]
   * @returns {Promise<api.UsageList & Reply>}
   */
  listUsage(options) {
    return this.#list("/v1/usage", options);
  }

  /**
   * @param {{from?: string, to?: string, by?: string, agentId?: string, model?: string,
   *   userId?: string} & RequestOptions} [options]
   * @returns {AsyncGenerator<api.UsedRow>}
   */
  iterUsage(options) {
    return this.#pages("/v1/usage", "usage", options);
  }

  /**
   * Another user's usage requires an admin.
   *
   * @param {{userId?: string} & RequestOptions} [options]
   * @returns {Promise<api.StorageUsage & Reply>}
   */
  getStorageUsage(options) {
    return this.#list("/v1/usage/storage", options);
  }

  /** @param {RequestOptions} [options] @returns {Promise<api.Plugins & Reply>} */
  listPlugins(options) {
    return this.#call("GET", "/v1/plugins", options);
  }

  /** @param {{dryRun?: boolean, force?: boolean} & RequestOptions} [options] @returns {Promise<api.Reload & Reply>} */
  reloadPlugins({ dryRun, force, timeout = chatTimeout, ...options } = {}) {
    return this.#call("POST", "/v1/plugins/reload", { timeout, ...options }, { params: { dry_run: dryRun, force } });
  }

  // WebSocket

  /** Connects and authenticates. @param {WebSocketOptions} [options] @returns {Promise<AgentAreaWebSocket>} */
  async websocket(options = {}) {
    return new AgentAreaWebSocket(this.#transport, options).open();
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions & IfMatch} [options]
   * @param {import("./transport.js").Send} [request]
   * @returns {Promise<any>}
   */
  #call(method, path, { signal, timeout, ifMatch } = {}, request = {}) {
    const headers = { ...request.headers, "If-Match": ifMatch };
    return this.#transport.call(method, path, { ...request, headers, signal, timeout });
  }

  /**
   * @param {string} path
   * @param {RequestOptions & Record<string, any>} [options]
   */
  #list(path, { signal, timeout, ...filters } = {}) {
    const params = Object.fromEntries(Object.entries(filters).map(([name, value]) => [snake(name), value]));
    return this.#transport.call("GET", path, { params, signal, timeout });
  }

  /**
   * Yields all items of a list. Items that are added meanwhile cause no duplicates. To delete items while iterating,
   * first make an array of them.
   *
   * @param {string} path
   * @param {string} field
   * @param {Record<string, any>} [options]
   * @returns {AsyncGenerator<any>}
   */
  async *#pages(path, field, options) {
    let before = new Set();
    for (let offset = 0; ; ) {
      const items = (await this.#list(path, { ...options, limit: pageSize, offset }))[field];
      for (const item of items) if (!before.has(keyOf(item))) yield item;
      if (items.length < pageSize) return;
      before = new Set(items.map(keyOf).filter(Boolean));
      offset += items.length;
    }
  }

  /**
   * @param {string} resume
   * @param {{after?: number} & StreamOptions} [options]
   */
  #watch(resume, options = {}) {
    return new RunStream(this.#transport, { ...options, resume }).open("GET", resume);
  }
}

/**
 * Returns a path with encoded ids. It rejects "." and "..", which fetch would remove from the URL: deleting the session
 * ".." of an agent would delete the agent.
 *
 * @param {TemplateStringsArray} parts
 * @param {string[]} ids
 */
function path(parts, ...ids) {
  const dots = ids.find((id) => id === "." || id === "..");
  if (dots !== undefined) throw new TypeError(`The id "${dots}" cannot be part of a URL.`);
  return String.raw({ raw: parts }, ...ids.map(encodeURIComponent));
}

/**
 * Returns what identifies an item of a list. Rows of usage have no identifier.
 *
 * @param {any} item
 */
function keyOf(item) {
  return item.id ?? item.seq;
}

/** @param {string} name */
function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Returns a random key. crypto.randomUUID is not available on pages that are loaded over plain HTTP. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {api.File} file
 * @param {string | undefined} sha256
 */
function check(file, sha256) {
  if (sha256 === undefined || sha256 === file.sha256) return;
  throw new ChecksumMismatch("CHECKSUM_MISMATCH", `File ${file.id}: expected SHA-256 ${file.sha256}, got ${sha256}. Try again.`, {
    details: { file_id: file.id },
  });
}
