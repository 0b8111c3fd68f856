// Requests: tokens, time limits, retries, errors. The client has a method for
// each operation on top of it.

import { AgentAreaError, ConnectionFailed, TimedOut, Unauthorized, cut, errorOf } from "./errors.js";

const idempotentMethods = ["GET", "HEAD", "PUT", "DELETE"];

// How long a pause between two tries may be, in seconds; who is told to wait
// for longer gets the error at once.
const longestPause = 60;

// For a body that is made as it is sent. Without the latter two Node.js keeps all of it, for a redirect.
const streamed = { duplex: "half", redirect: /** @type {const} */ ("error"), window: null };

/**
 * @typedef {object} RequestOptions
 * @property {AbortSignal} [signal] ends the request; its reason is thrown
 * @property {number} [timeout] how many seconds the server may take to answer
 */

/**
 * @typedef {object} Send
 * @property {Record<string, any>} [params] of the query; undefined ones are left out
 * @property {any} [json] the body
 * @property {() => {body: any, headers?: Record<string, string>}} [form] makes a body that is no JSON, anew for each try
 * @property {Record<string, string | undefined>} [headers]
 * @property {boolean} [idempotent] whether doing it twice is doing it once
 * @property {boolean} [authenticated] false sends no token
 * @property {boolean} [repeatable] false for a body that can't be made anew
 */

/** What all requests of a client share. */
export class Transport {
  /** @type {Promise<any> | undefined} the refresh that is under way */
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
   * Sends a request and gives the JSON object of its reply, empty for one without a body.
   * It has etag and requestId, too, which JSON.stringify and spreading leave out.
   *
   * @param {string} method
   * @param {string} path
   * @param {Send & RequestOptions} [request]
   * @returns {Promise<any>}
   */
  async call(method, path, request = {}) {
    const connection = await this.open(method, path, request);
    return replyOf(connection, connection.response.ok ? await connection.text() : "");
  }

  /**
   * Sends a request until it succeeds or a further try makes no sense, and gives the
   * connection with its reply.
   *
   * A 429 is tried again whatever the request: nothing was done. A 503 and a broken
   * connection are only where doing it twice is doing it once.
   *
   * @param {string} method
   * @param {string} path
   * @param {Send & RequestOptions} [request]
   * @returns {Promise<Connection>}
   */
  async open(method, path, request = {}) {
    const { idempotent = idempotentMethods.includes(method), authenticated = true, repeatable = true } = request;
    let refreshed = false;
    let lost = false;
    for (let tries = 0; ; ) {
      const token = authenticated ? this.token : undefined;
      /** @type {AgentAreaError} */
      let error;
      /** @type {Connection | undefined} */
      let connection;
      try {
        connection = await this.#once(method, path, request, token);
        if (connection.response.ok) return connection;
        error = await failureOf(connection);
      } catch (failed) {
        if (!(failed instanceof ConnectionFailed)) throw failed;
        error = failed;
      }
      if (error.status === 401 && token && this.refreshToken && !refreshed && repeatable) {
        refreshed = true;
        await this.refresh(token);
        continue;
      }
      // An earlier try has deleted it, and its reply was lost.
      if (method === "DELETE" && error.status === 404 && lost && connection) return connection;
      const may = error.status === 429 || (idempotent && (error.status === 503 || error.status === undefined));
      const pause = error.retryAfter ?? backoff(tries);
      if (!may || !repeatable || tries >= this.retries || pause > longestPause || this.closing.aborted) throw error;
      lost ||= error.status === undefined;
      tries++;
      await this.sleep(pause, request.signal);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Send & RequestOptions} request
   * @param {string | undefined} token
   */
  async #once(method, path, { params = {}, json, form, headers = {}, signal, timeout = this.timeout }, token) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined && value !== null) query.set(name, value instanceof Date ? value.toISOString() : String(value));
    }
    const sent = new Headers();
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) sent.set(name, value);
    if (token) sent.set("Authorization", `Bearer ${token}`);
    /** @type {any} */
    let body;
    if (json !== undefined) {
      sent.set("Content-Type", "application/json");
      body = JSON.stringify(json);
    } else if (form) {
      const made = form();
      body = made.body;
      for (const [name, value] of Object.entries(made.headers ?? {})) sent.set(name, value);
    }
    const connection = new Connection(`${method} ${path}`, timeout, [signal, this.closing]);
    const search = query.size ? `?${query}` : "";
    await connection.begin(() =>
      this.fetch(this.baseUrl + path + search, {
        method,
        headers: sent,
        body,
        signal: connection.signal,
        ...(body instanceof ReadableStream ? streamed : {}),
      }),
    );
    this.#noteRateLimit(connection.response);
    return connection;
  }

  /** @param {Response} response */
  #noteRateLimit({ headers }) {
    const [limit, remaining, reset] = ["Limit", "Remaining", "Reset"].map((name) => headers.get(`X-RateLimit-${name}`));
    if (limit !== null) this.rateLimit = { limit: Number(limit), remaining: Number(remaining), reset: Number(reset) };
  }

  /**
   * Gets new tokens: by the refresh token, or by a live access token. Calls that come
   * while one is under way share it; one whose token is not the newest needs none.
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
          idempotent: true, // the server gives a lost reply once more, for some seconds
          authenticated: false,
        });
      } catch (failed) {
        if (failed instanceof Unauthorized) this.refreshToken = undefined;
        throw failed;
      }
    } else {
      tokens = await this.call("POST", "/v1/auth/refresh");
    }
    await this.take(tokens);
    return tokens;
  }

  /**
   * Goes on with these tokens.
   *
   * @param {any} tokens
   */
  async take(tokens) {
    this.token = tokens.access_token;
    this.refreshToken = tokens.refresh_token;
    await this.onTokens?.(tokens);
  }

  /**
   * Replaces a token that was refused, or throws the error.
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
    const stop = new Stop([signal, this.closing]);
    try {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, seconds * 1000);
        stop.onAbort((reason) => {
          clearTimeout(timer);
          reject(reason);
        });
      });
    } finally {
      stop.release();
    }
  }
}

/** Ends what is under way when one of several signals says so. */
class Stop {
  #controller = new AbortController();
  #end = (/** @type {Event} */ event) => this.abort(/** @type {AbortSignal} */ (event.target).reason);
  /** @type {AbortSignal[]} */
  #signals;

  /** @param {(AbortSignal | undefined)[]} signals */
  constructor(signals) {
    this.#signals = /** @type {AbortSignal[]} */ (signals.filter((one) => one !== undefined));
    for (const one of this.#signals) {
      if (one.aborted) this.abort(one.reason);
      one.addEventListener("abort", this.#end);
    }
  }

  get signal() {
    return this.#controller.signal;
  }

  /** @param {unknown} reason */
  abort(reason) {
    this.#controller.abort(reason);
  }

  /** @param {(reason: unknown) => void} act */
  onAbort(act) {
    if (this.signal.aborted) act(this.signal.reason);
    else this.signal.addEventListener("abort", () => act(this.signal.reason), { once: true });
  }

  /** Lets go of the signals, which may live long. */
  release() {
    for (const one of this.#signals) one.removeEventListener("abort", this.#end);
  }
}

/** A request that was sent, and its reply: fails when nothing comes for timeout seconds. */
export class Connection {
  #stop;
  /** @type {Response} once it has begun */
  response = new Response();

  /**
   * @param {string} what
   * @param {number} timeout
   * @param {(AbortSignal | undefined)[]} signals
   */
  constructor(what, timeout, signals) {
    this.what = what;
    this.timeout = timeout;
    this.#stop = new Stop(signals);
  }

  get signal() {
    return this.#stop.signal;
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
    for await (const piece of this.pieces()) text += decoder.decode(piece, { stream: true });
    return text + decoder.decode();
  }

  /**
   * The reply's bytes, as they come.
   *
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *pieces() {
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

  /** Leaves, whatever is still to come. */
  close() {
    this.#stop.abort(cut(`${this.what} was closed`));
    this.#stop.release();
  }

  /**
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  async #await(step) {
    const timer = setTimeout(() => {
      this.#stop.abort(new TimedOut("TIMEOUT", `${this.what}: nothing came for ${this.timeout} s`));
    }, this.timeout * 1000);
    try {
      return await step();
    } catch (failed) {
      throw this.signal.aborted ? this.signal.reason : cut(`${this.what} was cut`, failed);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * The pause before another try, in seconds: half a second, doubling up to five, give or take.
 *
 * @param {number} tries
 */
export function backoff(tries) {
  return Math.min(5, 0.5 * 2 ** tries) * (0.75 + Math.random() / 2);
}

/**
 * @param {Connection} connection
 * @param {string} text
 */
function replyOf({ response, what }, text) {
  /** @type {any} */
  let reply = {};
  if (text !== "") {
    try {
      reply = JSON.parse(text);
    } catch (cause) {
      throw new AgentAreaError("INVALID_RESPONSE", `The reply to ${what} is no JSON: is this AgentArea's address?`, {
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
async function failureOf(connection) {
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
    retryAfter: seconds(headers.get("Retry-After")),
  });
}

/**
 * Reads a Retry-After: seconds, or a date.
 *
 * @param {string | null} header
 */
function seconds(header) {
  if (!header) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}
