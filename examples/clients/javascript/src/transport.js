// Sends requests, with tokens, timeouts, retries and error handling. The client uses it for all
// operations.

import { AgentAreaError, ConnectionFailed, TimedOut, Unauthorized, connectionLost, errorOf } from "./errors.js";

const idempotentMethods = ["GET", "HEAD", "PUT", "DELETE"];

// The longest delay before a retry, in seconds. If the server requests a longer one, the error is
// thrown immediately.
const maxDelay = 60;

// Options for a streamed body. Without redirect and window, Node.js keeps all of it in memory for a redirect.
const streamed = { duplex: "half", redirect: /** @type {const} */ ("error"), window: null };

/**
 * @typedef {object} RequestOptions
 * @property {AbortSignal} [signal] aborts the request; its reason is thrown
 * @property {number} [timeout] how many seconds to wait for a response
 */

/**
 * @typedef {object} Send
 * @property {Record<string, any>} [params] query parameters; undefined ones are omitted
 * @property {any} [json] the body, as JSON
 * @property {() => {body: any, headers?: Record<string, string>}} [form] creates a body that is not JSON, for each attempt
 * @property {Record<string, string | undefined>} [headers]
 * @property {boolean} [idempotent] whether the request may be repeated
 * @property {boolean} [authenticated] false sends no token
 * @property {boolean} [repeatable] false for a body that can only be created once
 */

/** The state that all requests of a client share. */
export class Transport {
  /** @type {Promise<any> | undefined} the refresh in progress */
  #refreshing;
  #closing = new AbortController();

  /**
   * @param {string} baseUrl
   * @param {string | undefined} token
   * @param {import("./client.js").ClientOptions} options
   */
  constructor(baseUrl, token, { refreshToken, timeout = 30, retries = 3, onTokens, fetch = globalThis.fetch }) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.token = token;
    this.refreshToken = refreshToken;
    this.timeout = timeout;
    this.retries = retries;
    this.onTokens = onTokens;
    this.fetch = fetch.bind(globalThis);
    /** @type {{limit?: number, remaining?: number, reset?: number}} */
    this.rateLimit = {};
  }

  /** Aborted when the client is closed. */
  get closing() {
    return this.#closing.signal;
  }

  close() {
    this.#closing.abort(new ConnectionFailed("CONNECTION_FAILED", "The client was closed"));
  }

  /**
   * Sends a request and returns the JSON object of its response, or an empty one. Its properties etag and requestId
   * are not enumerable, so that JSON.stringify and spreading omit them.
   *
   * @param {string} method
   * @param {string} path
   * @param {Send & RequestOptions} [request]
   * @returns {Promise<any>}
   */
  async call(method, path, request = {}) {
    const connection = await this.open(method, path, request);
    return parseReply(connection, connection.response.ok ? await connection.text() : "");
  }

  /**
   * Sends a request, with retries, and returns the connection with the successful response.
   *
   * A 429 is always retried, because the server has not processed the request. A 503 and a connection error are only
   * retried for idempotent requests.
   *
   * @param {string} method
   * @param {string} path
   * @param {Send & RequestOptions} [request]
   * @returns {Promise<Connection>}
   */
  async open(method, path, request = {}) {
    const { idempotent = idempotentMethods.includes(method), authenticated = true, repeatable = true } = request;
    let refreshed = false;
    let responseLost = false;
    for (let attempts = 0; ; ) {
      const token = authenticated ? this.token : undefined;
      /** @type {AgentAreaError} */
      let error;
      /** @type {Connection | undefined} */
      let connection;
      try {
        connection = await this.#sendOnce(method, path, request, token);
        if (connection.response.ok) return connection;
        error = await errorFrom(connection);
      } catch (failed) {
        if (!(failed instanceof ConnectionFailed)) throw failed;
        error = failed;
      }
      if (error.status === 401 && token && this.refreshToken && !refreshed && repeatable) {
        refreshed = true;
        await this.refresh(token);
        continue;
      }
      // An earlier attempt has deleted it, and its response was lost.
      if (method === "DELETE" && error.status === 404 && responseLost && connection) return connection;
      const retryable = error.status === 429 || (idempotent && (error.status === 503 || error.status === undefined));
      const delay = error.retryAfter ?? backoff(attempts);
      if (!retryable || !repeatable || attempts >= this.retries || delay > maxDelay || this.closing.aborted) throw error;
      responseLost ||= error.status === undefined;
      attempts++;
      await this.sleep(delay, request.signal);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Send & RequestOptions} request
   * @param {string | undefined} token
   */
  async #sendOnce(method, path, { params = {}, json, form, headers = {}, signal, timeout = this.timeout }, token) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined && value !== null) query.set(name, value instanceof Date ? value.toISOString() : String(value));
    }
    const requestHeaders = new Headers();
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) requestHeaders.set(name, value);
    if (token) requestHeaders.set("Authorization", `Bearer ${token}`);
    /** @type {any} */
    let body;
    if (json !== undefined) {
      requestHeaders.set("Content-Type", "application/json");
      body = JSON.stringify(json);
    } else if (form) {
      const formBody = form();
      body = formBody.body;
      for (const [name, value] of Object.entries(formBody.headers ?? {})) requestHeaders.set(name, value);
    }
    const connection = new Connection(`${method} ${path}`, timeout, [signal, this.closing]);
    const search = query.size ? `?${query}` : "";
    await connection.begin(() =>
      this.fetch(this.baseUrl + path + search, {
        method,
        headers: requestHeaders,
        body,
        signal: connection.signal,
        ...(body instanceof ReadableStream ? streamed : {}),
      }),
    );
    this.#storeRateLimit(connection.response);
    return connection;
  }

  /** @param {Response} response */
  #storeRateLimit({ headers }) {
    const [limit, remaining, reset] = ["Limit", "Remaining", "Reset"].map((name) => headers.get(`X-RateLimit-${name}`));
    if (limit !== null) this.rateLimit = { limit: Number(limit), remaining: Number(remaining), reset: Number(reset) };
  }

  /**
   * Gets new tokens with the refresh token, or with a valid access token. Concurrent calls share one refresh. A call
   * for a token that was already replaced does nothing.
   *
   * @param {string} [stale]
   * @returns {Promise<any>}
   */
  async refresh(stale) {
    if (stale !== undefined && this.token !== stale) return undefined;
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh() {
    /** @type {any} */
    let tokens;
    if (this.refreshToken) {
      try {
        tokens = await this.call("POST", "/v1/auth/refresh", {
          json: { refresh_token: this.refreshToken },
          idempotent: true, // for some seconds the server repeats a lost response
          authenticated: false,
        });
      } catch (failed) {
        if (failed instanceof Unauthorized) this.refreshToken = undefined;
        throw failed;
      }
    } else {
      tokens = await this.call("POST", "/v1/auth/refresh");
    }
    await this.setTokens(tokens);
    return tokens;
  }

  /**
   * Uses these tokens from now on.
   *
   * @param {any} tokens
   */
  async setTokens(tokens) {
    this.token = tokens.access_token;
    this.refreshToken = tokens.refresh_token;
    await this.onTokens?.(tokens);
  }

  /**
   * Replaces a rejected token, or throws the error.
   *
   * @param {string | undefined} stale
   * @param {AgentAreaError} error
   */
  async renew(stale, error) {
    if (!this.refreshToken) throw error;
    await this.refresh(stale);
  }

  /**
   * @param {number} seconds
   * @param {AbortSignal} [signal]
   */
  async sleep(seconds, signal) {
    const abortGroup = new AbortGroup([signal, this.closing]);
    try {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, seconds * 1000);
        abortGroup.onAbort((reason) => {
          clearTimeout(timer);
          reject(reason);
        });
      });
    } finally {
      abortGroup.release();
    }
  }
}

/** Aborts when one of several signals aborts. */
class AbortGroup {
  #controller = new AbortController();
  #onSignal = (/** @type {Event} */ event) => this.abort(/** @type {AbortSignal} */ (event.target).reason);
  /** @type {AbortSignal[]} */
  #signals;

  /** @param {(AbortSignal | undefined)[]} signals */
  constructor(signals) {
    this.#signals = /** @type {AbortSignal[]} */ (signals.filter((one) => one !== undefined));
    for (const one of this.#signals) {
      if (one.aborted) this.abort(one.reason);
      one.addEventListener("abort", this.#onSignal);
    }
  }

  get signal() {
    return this.#controller.signal;
  }

  /** @param {unknown} reason */
  abort(reason) {
    this.#controller.abort(reason);
  }

  /** @param {(reason: unknown) => void} listener */
  onAbort(listener) {
    if (this.signal.aborted) listener(this.signal.reason);
    else this.signal.addEventListener("abort", () => listener(this.signal.reason), { once: true });
  }

  /** Removes the listeners from the signals, which may live long. */
  release() {
    for (const one of this.#signals) one.removeEventListener("abort", this.#onSignal);
  }
}

/** A request and its response. It fails when no data arrives for timeout seconds. */
export class Connection {
  #abortGroup;
  /** @type {Response} set by begin */
  response = new Response();

  /**
   * @param {string} name
   * @param {number} timeout
   * @param {(AbortSignal | undefined)[]} signals
   */
  constructor(name, timeout, signals) {
    this.name = name;
    this.timeout = timeout;
    this.#abortGroup = new AbortGroup(signals);
  }

  get signal() {
    return this.#abortGroup.signal;
  }

  /** @param {() => Promise<Response>} request */
  async begin(request) {
    try {
      this.response = await this.#await(request);
    } catch (failed) {
      this.close();
      throw failed;
    }
  }

  async text() {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.chunks()) text += decoder.decode(chunk, { stream: true });
    return text + decoder.decode();
  }

  /**
   * Yields the chunks of the response's body.
   *
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *chunks() {
    try {
      const reader = this.response.body?.getReader();
      while (reader) {
        const { done, value } = await this.#await(() => reader.read());
        if (done) return;
        yield value;
      }
    } finally {
      this.close();
    }
  }

  /** Closes the connection. */
  close() {
    this.#abortGroup.abort(connectionLost(`${this.name}: connection closed`));
    this.#abortGroup.release();
  }

  /**
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  async #await(step) {
    const timer = setTimeout(() => {
      this.#abortGroup.abort(new TimedOut("TIMEOUT", `${this.name}: no response within ${this.timeout} s`));
    }, this.timeout * 1000);
    try {
      return await step();
    } catch (failed) {
      throw this.signal.aborted ? this.signal.reason : connectionLost(`${this.name}: connection lost`, failed);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Returns the delay before a retry in seconds: 0.5, doubling up to 5, plus or minus 25 %.
 *
 * @param {number} attempts
 */
export function backoff(attempts) {
  return Math.min(5, 0.5 * 2 ** attempts) * (0.75 + Math.random() / 2);
}

/**
 * @param {Connection} connection
 * @param {string} text
 */
function parseReply({ response, name }, text) {
  /** @type {any} */
  let reply = {};
  if (text !== "") {
    try {
      reply = JSON.parse(text);
    } catch (cause) {
      throw new AgentAreaError("INVALID_RESPONSE", `The response to ${name} is not JSON. Check that the URL is that of an AgentArea server.`, {
        status: response.status,
        cause,
      });
    }
  }
  return Object.defineProperties(reply, {
    etag: { value: response.headers.get("ETag") ?? undefined },
    requestId: { value: response.headers.get("X-Request-ID") ?? undefined },
  });
}

/** @param {Connection} connection */
async function errorFrom(connection) {
  const { headers, status } = connection.response;
  /** @type {any} */
  let body;
  try {
    body = JSON.parse(await connection.text());
  } catch (failed) {
    if (!(failed instanceof SyntaxError || failed instanceof ConnectionFailed)) throw failed;
  }
  return errorOf(body?.error, {
    status,
    requestId: headers.get("X-Request-ID") ?? undefined,
    retryAfter: parseRetryAfter(headers.get("Retry-After")),
  });
}

/**
 * Parses a Retry-After header: seconds or a date.
 *
 * @param {string | null} header
 */
function parseRetryAfter(header) {
  if (!header) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
