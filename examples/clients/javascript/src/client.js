// The client: a method for each operation of the API, by the operation's name.

import { AgentAreaError, ChecksumMismatch, ConnectionFailed, cut } from "./errors.js";
import { Sha256, digest, formOf, opened, partial } from "./files.js";
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
 * @property {string} [refreshToken] gets a new access token when the old one is refused
 * @property {number} [timeout] how many seconds the server may take to answer, or between two pieces of a reply; 30
 * @property {number} [retries] how often a request is sent again, at most: after a 429 (as its Retry-After says), and
 *   after a 503 or a broken connection where that does nothing twice; 3; 0: never
 * @property {(tokens: api.Tokens) => unknown} [onTokens] is called with each reply that has new tokens, for who keeps them
 * @property {typeof globalThis.fetch} [fetch] one of yours
 */

/**
 * What a reply has besides its fields: its version, for ifMatch, and the request's name in the server's log.
 *
 * @typedef {{readonly etag?: string, readonly requestId?: string}} Reply
 */

/** @typedef {{limit?: number, offset?: number}} Page */
/** @typedef {{ifMatch?: string}} IfMatch */

// How long an answer that is not streamed may take, in seconds. Node.js itself waits for 300.
const chatTimeout = 300;

// How many a page the iterators ask for: the most there are.
const pageSize = 100;

/**
 * Speaks to an AgentArea server on behalf of one user.
 *
 * Methods give the reply's JSON object, which has etag and requestId, too, and throw an AgentAreaError.
 * The last argument of each takes a signal and a timeout in seconds.
 */
export class AgentAreaClient {
  #transport;

  /**
   * @param {string} baseUrl where the server is, such as "http://localhost:8000"
   * @param {string} [token] an access token, or an API key; login gets one by a password
   * @param {ClientOptions} [options]
   */
  constructor(baseUrl, token, options = {}) {
    this.#transport = new Transport(baseUrl, token, options);
  }

  /**
   * Signs in and gives a client, whose tokens are renewed by themselves.
   *
   * @param {string} baseUrl
   * @param {string} username
   * @param {string} password
   * @param {ClientOptions & RequestOptions} [options]
   * @returns {Promise<AgentAreaClient>}
   */
  static async login(baseUrl, username, password, { signal, ...options } = {}) {
    const client = new AgentAreaClient(baseUrl, undefined, options);
    await client.#transport.take(
      await client.#transport.call("POST", "/v1/auth/login", { json: { username, password }, authenticated: false, signal }),
    );
    return client;
  }

  /** Ends what is under way. The login stays: logout ends it. */
  close() {
    this.#transport.close();
  }

  get baseUrl() {
    return this.#transport.baseUrl;
  }

  /** The access token, or API key, that is sent now. */
  get token() {
    return this.#transport.token;
  }

  /** The newest refresh token: to be kept in place of the one before. */
  get refreshToken() {
    return this.#transport.refreshToken;
  }

  /** The newest X-RateLimit-* headers; empty without any. */
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

  /** Gets new tokens now. A refused access token is renewed without it. @returns {Promise<api.Tokens & Reply>} */
  refresh() {
    return this.#transport.refresh();
  }

  /** Ends the login with all its tokens. @param {RequestOptions} [options] */
  async logout(options) {
    await this.#call("POST", "/v1/auth/logout", options);
    this.#transport.token = this.#transport.refreshToken = undefined;
  }

  /** @param {RequestOptions} [options] @returns {Promise<api.User & Reply>} */
  me(options) {
    return this.#call("GET", "/v1/auth/me", options);
  }

  /**
   * Changes one's own password. Every other sign-in ends; API keys stay.
   *
   * @param {string} currentPassword @param {string} newPassword @param {RequestOptions} [options]
   */
  async changePassword(currentPassword, newPassword, options) {
    const json = { current_password: currentPassword, new_password: newPassword };
    await this.#call("POST", "/v1/auth/password", options, { json });
  }

  /**
   * One's own, the newest first. userId: whose, for admins; "*" for everybody's.
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
   * The reply's key is shown this once; it is a token for a client.
   *
   * @param {string} name
   * @param {string[]} scopes ["*"] for all that the user may do, else such as "agents:read" and "chat:write"
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
   * @param {string} type one of listAgentTypes, whose config_schema says what config takes
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
   * Takes an agent as getAgent gives it, changed. With its etag as ifMatch, PreconditionFailed is thrown if
   * somebody has changed it since.
   *
   * @param {string} agentId @param {api.AgentReplacement} agent @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.Agent & Reply>}
   */
  replaceAgent(agentId, agent, options) {
    return this.#call("PUT", path`/v1/agents/${agentId}`, options, { json: agent });
  }

  /**
   * Takes a merge patch: what is left out stays; null takes away.
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
   * Says something, and gives the answer. Without sessionId it begins a conversation, which the reply's
   * session_id goes on with. A failed one is not said again: see chatHistory.
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
   * Says something, and gives the answer's events as they come, broken connections or not.
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
   * The newest messages, in order of time. before: a message's timestamp, or a Date. userId: whose, for admins.
   *
   * @param {string} agentId
   * @param {{sessionId?: string, limit?: number, before?: string | Date, userId?: string} & RequestOptions} [options]
   * @returns {Promise<api.History & Reply>}
   */
  chatHistory(agentId, options) {
    return this.#list(path`/v1/agents/${agentId}/chat/history`, options);
  }

  /**
   * All messages, the newest first.
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
   * A run's events, from its first or after the one of that eventId, until it ends.
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
   * Queues work for an agent. Sent again after a broken connection, it is one task still; with an idempotencyKey
   * of yours, so it is when you call twice.
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
   * The events of a task's run, once it has begun and until it ends.
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
   * @param {object} config {command, args, env} for a program (admins only), {url, headers} else
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
   * Takes a server as getMcpServer gives it, changed: a secret that is *** stays.
   *
   * @param {string} serverId @param {api.McpServerReplacement} server @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.MCPServer & Reply>}
   */
  replaceMcpServer(serverId, server, options) {
    return this.#call("PUT", path`/v1/mcp-servers/${serverId}`, options, { json: server });
  }

  /**
   * Takes a merge patch: what is left out stays; null takes away.
   *
   * @param {string} serverId @param {api.McpServerChange} changes @param {IfMatch & RequestOptions} [options]
   * @returns {Promise<api.MCPServer & Reply>}
   */
  changeMcpServer(serverId, changes, options) {
    return this.#call("PATCH", path`/v1/mcp-servers/${serverId}`, options, { json: changes });
  }

  /** @param {string} serverId @param {IfMatch & RequestOptions} [options] */
  async deleteMcpServer(serverId, options) {
    await this.#call("DELETE", path`/v1/mcp-servers/${serverId}`, options);
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
   * The log's last lines, the newest at the end.
   *
   * @param {string} serverId @param {{tail?: number} & RequestOptions} [options] @returns {Promise<api.McpLog & Reply>}
   */
  mcpServerLogs(serverId, options) {
    return this.#list(path`/v1/mcp-servers/${serverId}/logs`, options);
  }

  /**
   * The log's last lines and those to come, until the server is deleted.
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
   * Uploads a file: of a path (in Node.js), a Blob or File, bytes, or a stream. It is never whole in memory. In
   * Node.js, what the server has kept is checked by its SHA-256.
   *
   * @param {Source} source
   * @param {{name?: string, metadata?: object} & RequestOptions} [options] timeout: an hour unless given
   * @returns {Promise<api.File & Reply>}
   */
  async uploadFile(source, { name, metadata, timeout = 3600, ...options } = {}) {
    const file = await opened(source, name);
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
   * Takes a merge patch of name and metadata.
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
   * Downloads to a path (in Node.js) or a WritableStream, which is closed then, and gives the file's data. At a path
   * there is the whole file, checked by its SHA-256, or nothing new. A broken connection is made again, and goes on
   * where it was.
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
        for await (const piece of sha256.of(this.#bytes(info, options))) await writer.write(piece);
        check(info, sha256.hex());
        await writer.close();
      } catch (failed) {
        await writer.abort(failed).catch(() => {});
        throw failed;
      }
      return info;
    }
    const part = await partial(target);
    try {
      for await (const piece of sha256.of(this.#bytes(info, options))) await part.write(piece);
      check(info, sha256.hex());
      await part.finish();
    } catch (failed) {
      await part.abandon();
      throw failed;
    }
    return info;
  }

  /**
   * Gives a file's bytes, for small ones.
   *
   * @param {string} fileId
   * @param {RequestOptions} [options]
   * @returns {Promise<Uint8Array>}
   */
  async readFile(fileId, options) {
    const info = await this.getFile(fileId, options);
    const pieces = [];
    for await (const piece of this.#bytes(info, options)) pieces.push(piece);
    const content = new Uint8Array(await new Blob(/** @type {any} */ (pieces)).arrayBuffer());
    check(info, await digest(content));
    return content;
  }

  /**
   * A file's bytes, whatever befalls the connection.
   *
   * @param {api.File} info
   * @param {RequestOptions} [options]
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *#bytes(info, options) {
    let arrived = 0;
    for (let broken = 0; arrived < info.size; ) {
      const before = arrived;
      /** @type {any} */
      let failure = cut("The download was cut");
      try {
        const headers = { Range: arrived ? `bytes=${arrived}-` : undefined };
        const connection = await this.#transport.open("GET", path`/v1/files/${info.id}/download`, { ...options, headers });
        if (arrived && connection.response.status !== 206) {
          connection.close();
          throw new AgentAreaError("INVALID_RESPONSE", "The server does not go on with a download");
        }
        for await (const piece of connection.pieces()) {
          arrived += piece.length;
          yield piece;
        }
        if (arrived >= info.size) return;
      } catch (failed) {
        if (!(failed instanceof ConnectionFailed)) throw failed;
        failure = failed;
      }
      broken = arrived > before ? 1 : broken + 1;
      if (broken > this.#transport.retries) throw failure;
    }
  }

  /**
   * Moves all files of one backend to another (admins), and tells how far it is. Leaving ends it; another call
   * goes on where it was.
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
   * @param {{role?: api.User["role"]} & RequestOptions} [options] role: member unless given
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
   * Takes what is to change; what is left out stays. A disabled user is out at once.
   *
   * @param {string} userId @param {api.UserChange} changes @param {RequestOptions} [options]
   * @returns {Promise<api.User & Reply>}
   */
  changeUser(userId, changes, options) {
    return this.#call("PATCH", path`/v1/users/${userId}`, options, { json: changes });
  }

  /**
   * Sets somebody's password (admins), whose sign-ins end.
   *
   * @param {string} userId @param {string} password @param {RequestOptions} [options]
   */
  async resetPassword(userId, password, options) {
    await this.#call("POST", path`/v1/users/${userId}/password`, options, { json: { password } });
  }

  /**
   * Who did what, the newest first (admins).
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

  /** @param {RequestOptions} [options] @returns {Promise<api.Plugins & Reply>} */
  listPlugins(options) {
    return this.#call("GET", "/v1/plugins", options);
  }

  /** @param {{dryRun?: boolean} & RequestOptions} [options] @returns {Promise<api.Reload & Reply>} */
  reloadPlugins({ dryRun, timeout = chatTimeout, ...options } = {}) {
    return this.#call("POST", "/v1/plugins/reload", { timeout, ...options }, { params: { dry_run: dryRun } });
  }

  // WebSocket

  /** Connects and signs in. @param {WebSocketOptions} [options] @returns {Promise<AgentAreaWebSocket>} */
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
   * Gives all of a list. What is added to it meanwhile does not come twice; to delete while you iterate, make an
   * array of it first.
   *
   * @param {string} path
   * @param {string} noun
   * @param {Record<string, any>} [options]
   * @returns {AsyncGenerator<any>}
   */
  async *#pages(path, noun, options) {
    let before = new Set();
    for (let offset = 0; ; ) {
      const found = (await this.#list(path, { ...options, limit: pageSize, offset }))[noun];
      for (const one of found) if (!before.has(keyOf(one))) yield one;
      if (found.length < pageSize) return;
      before = new Set(found.map(keyOf).filter(Boolean));
      offset += found.length;
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
 * @param {TemplateStringsArray} parts
 * @param {string[]} ids
 */
function path(parts, ...ids) {
  return String.raw({ raw: parts }, ...ids.map(encodeURIComponent));
}

/**
 * What one of a list is known by; rows of usage are sums, and have none.
 *
 * @param {any} one
 */
function keyOf(one) {
  return one.id ?? one.seq;
}

/** @param {string} name */
function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Random, and made without crypto.randomUUID, which a page by plain HTTP has not. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {api.File} file
 * @param {string | undefined} sha256
 */
function check(file, sha256) {
  if (sha256 === undefined || sha256 === file.sha256) return;
  throw new ChecksumMismatch("CHECKSUM_MISMATCH", `The file ${file.id} has the SHA-256 ${file.sha256} on the server and ${sha256} here`, {
    details: { file_id: file.id },
  });
}
