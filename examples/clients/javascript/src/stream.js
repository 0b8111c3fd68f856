// Server-sent events. The stream of a run is resumed after a connection error without losing or
// repeating events.

import { ConnectionFailed, NotFound, ServiceUnavailable, Unauthorized, connectionLost, errorOf } from "./errors.js";
import { backoff } from "./transport.js";

// The server sends data at least every 15 s. The connection is considered lost after this many
// seconds without data.
const idleTimeout = 45;

/**
 * An event: its type and its other fields. eventId is its id in the stream; it is not enumerable, so that
 * JSON.stringify and spreading omit it.
 *
 * @typedef {{type: string, eventId?: number, [name: string]: any}} StreamEvent
 */

/**
 * @typedef {object} StreamOptions
 * @property {AbortSignal} [signal] aborts the stream; its reason is thrown
 * @property {number} [reconnect] how many seconds to try to reconnect; default 60; 0: never
 */

/**
 * @typedef {object} StreamRequest
 * @property {Record<string, any>} [params]
 * @property {any} [json]
 * @property {number} [after] the eventId after which the stream starts
 * @property {string} [resume] the path for resuming the stream
 */

/**
 * A stream of events. Iterate over it once, with for await. Leaving the loop closes it.
 *
 * A lost connection is restored. An event of type "error" is thrown as an error.
 */
export class EventStream {
  /** @type {import("./transport.js").Connection | undefined} */
  #connection;
  #closed = false;
  /** @type {string | undefined} */
  #token;

  /**
   * @param {import("./transport.js").Transport} transport
   * @param {StreamRequest & StreamOptions} request
   */
  constructor(transport, { params, after, resume, signal, reconnect = 60 }) {
    /** The id of the last received event. @type {number | undefined} */
    this.lastEventId = after;
    /** @protected */
    this.resume = resume;
    this.params = params;
    this.signal = signal;
    this.reconnect = reconnect;
    this.transport = transport;
  }

  /**
   * Connects. The client calls it before it returns a stream.
   *
   * @param {string} method
   * @param {string} path
   * @param {any} [json]
   * @returns {Promise<this>}
   */
  async open(method, path, json) {
    this.#token = this.transport.token;
    this.#connection = await this.transport.open(method, path, {
      params: this.params,
      json,
      headers: {
        Accept: "text/event-stream",
        "Last-Event-ID": this.lastEventId === undefined ? undefined : String(this.lastEventId),
      },
      signal: this.signal,
      timeout: idleTimeout,
    });
    return this;
  }

  /** Closes the stream. This does not cancel the run. */
  close() {
    this.#closed = true;
    this.#connection?.close();
  }

  /** @returns {AsyncGenerator<StreamEvent>} */
  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        /** @type {any} */
        let error = connectionLost("The stream ended before its last event");
        /** @type {any} */
        let failure;
        try {
          for await (const event of parseEvents(/** @type {any} */ (this.#connection))) {
            // An error without an id ends the connection, not the run.
            if (event.type === "error" && event.eventId === undefined) throw errorOf(event.error);
            if (!this.accept(event)) continue;
            if (event.type === "error") {
              failure = errorOf(event.error);
              break;
            }
            yield event;
            if (event.type === "end") return;
          }
          if (!failure && (this.#closed || this.endsWithoutEndEvent())) return;
        } catch (failed) {
          if (this.#closed) return;
          if (!isTemporary(failed)) throw failed;
          error = failed;
        }
        if (failure) throw failure;
        if (!(await this.#reconnectStream(error))) return;
      }
    } finally {
      this.close();
    }
  }

  /**
   * Records the position in the stream. Returns false for an event that was received before.
   *
   * @protected
   * @param {StreamEvent} event
   */
  accept(event) {
    if (event.eventId !== undefined) this.lastEventId = event.eventId;
    return true;
  }

  /** @protected */
  endsWithoutEndEvent() {
    return false;
  }

  /**
   * Reconnects or throws an error. Returns false if the stream has ended in the meantime.
   *
   * @param {any} error
   */
  async #reconnectStream(error) {
    this.#connection?.close();
    if (this.resume === undefined) throw error;
    if (error instanceof Unauthorized) await this.transport.renew(this.#token, error);
    const deadline = performance.now() + this.reconnect * 1000;
    for (let attempts = 0; performance.now() < deadline; attempts++) {
      try {
        await this.open("GET", this.resume);
        return true;
      } catch (failed) {
        if (failed instanceof NotFound && this.endsWithoutEndEvent()) return false;
        if (!isTemporary(failed) || failed instanceof Unauthorized || this.transport.closing.aborted) throw failed;
        error = failed;
      }
      const remaining = Math.max(0, deadline - performance.now()) / 1000;
      await this.transport.sleep(Math.min(backoff(attempts), remaining), this.signal);
    }
    throw error;
  }
}

/** The log of an MCP server. It has no end event and ends when the server is deleted. */
export class LogStream extends EventStream {
  /** @protected */
  endsWithoutEndEvent() {
    return true;
  }
}

/** The events of a run: start, token, tool_call, tool_result, usage, restart, end. */
export class RunStream extends EventStream {
  /** @type {{number: number, content: string}[]} */
  #tokens = [];
  /** From the start event. @type {string | undefined} */
  runId;
  /** From the start event. @type {string | undefined} */
  sessionId;
  /** The end event, once it was received. @type {StreamEvent | undefined} */
  end;

  /** The answer so far. After a restart event it omits the dropped tokens. */
  get text() {
    return this.#tokens.map((token) => token.content).join("");
  }

  /**
   * Reads the stream to its end and returns the answer.
   *
   * @returns {Promise<string>}
   */
  async wait() {
    for await (const _ of this);
    return this.text;
  }

  /**
   * @protected
   * @param {StreamEvent} event
   */
  accept(event) {
    const number = event.eventId ?? 0;
    if (this.lastEventId !== undefined && number <= this.lastEventId) return false;
    this.lastEventId = number;
    switch (event.type) {
      case "start":
        this.runId = event.run_id;
        this.sessionId = event.session_id;
        this.resume ??= `/v1/runs/${this.runId}/events`;
        break;
      case "token":
        this.#tokens.push({ number, content: event.content });
        break;
      case "restart":
        this.#tokens = this.#tokens.filter((token) => token.number <= event.drop_after);
        break;
      case "end":
        this.end = event;
    }
    return true;
  }
}

/** @param {unknown} error */
function isTemporary(error) {
  return error instanceof ConnectionFailed || error instanceof ServiceUnavailable || error instanceof Unauthorized;
}

/**
 * Yields the events of one connection, each as soon as it is complete.
 *
 * @param {import("./transport.js").Connection} connection
 * @returns {AsyncGenerator<StreamEvent>}
 */
async function* parseEvents(connection) {
  const decoder = new TextDecoder();
  let rest = "";
  /** @type {number | undefined} */
  let number;
  /** @type {string[]} */
  let data = [];
  for await (const chunk of connection.chunks()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = /** @type {string} */ (lines.pop());
    for (const rawLine of lines) {
      const line = rawLine.replace(/\r$/, "");
      const [, name, value] = /** @type {RegExpMatchArray} */ (line.match(/^([^:]*):? ?(.*)$/));
      if (line === "") {
        if (data.length) yield Object.defineProperty(JSON.parse(data.join("\n")), "eventId", { value: number });
        number = undefined;
        data = [];
      } else if (name === "id" && /^\d+$/.test(value)) {
        number = Number(value);
      } else if (name === "data") {
        data.push(value);
      }
    }
  }
}
