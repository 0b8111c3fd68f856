// Server-sent events: a run's, which go on after a broken connection exactly
// where they were, and others.

import { ConnectionFailed, NotFound, ServiceUnavailable, Unauthorized, cut, errorOf } from "./errors.js";
import { backoff } from "./transport.js";

// The server sends something every 15 s; after this many seconds without, the
// connection is taken for dead.
const silence = 45;

/**
 * An event: its type and what belongs to it. eventId is its number in the stream,
 * which JSON.stringify and spreading leave out.
 *
 * @typedef {{type: string, eventId?: number, [name: string]: any}} StreamEvent
 */

/**
 * @typedef {object} StreamOptions
 * @property {AbortSignal} [signal] ends the stream; its reason is thrown
 * @property {number} [reconnect] how many seconds to try to connect again, 60 unless given; 0: not at all
 */

/**
 * @typedef {object} StreamRequest
 * @property {Record<string, any>} [params]
 * @property {any} [json]
 * @property {number} [after] the eventId to go on after
 * @property {string} [resume] the path where the stream goes on
 */

/**
 * Events as they come: iterate over it once, with for await. Leaving the loop closes it.
 *
 * The connection is made again when it breaks. An event of type "error" is thrown.
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
    /** The number of the last event that came. @type {number | undefined} */
    this.lastEventId = after;
    /** @protected */
    this.resume = resume;
    this.params = params;
    this.signal = signal;
    this.reconnect = reconnect;
    this.transport = transport;
  }

  /**
   * Connects. The client does it before it gives a stream.
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
      timeout: silence,
    });
    return this;
  }

  /** Leaves the stream. A run goes on without its watchers. */
  close() {
    this.#closed = true;
    this.#connection?.close();
  }

  /** @returns {AsyncGenerator<StreamEvent>} */
  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        /** @type {any} */
        let broken = cut("The stream was cut before its last event");
        /** @type {any} */
        let failure;
        try {
          for await (const event of eventsOf(/** @type {any} */ (this.#connection))) {
            // Without a number it is the connection's end, and not the run's.
            if (event.type === "error" && event.eventId === undefined) throw errorOf(event.error);
            if (!this.take(event)) continue;
            if (event.type === "error") {
              failure = errorOf(event.error);
              break;
            }
            yield event;
            if (event.type === "end") return;
          }
          if (!failure && (this.#closed || this.endsSilently())) return;
        } catch (failed) {
          if (this.#closed) return;
          if (!passing(failed)) throw failed;
          broken = failed;
        }
        if (failure) throw failure;
        if (!(await this.#connectAgain(broken))) return;
      }
    } finally {
      this.close();
    }
  }

  /**
   * Notes where the stream is; false for an event that came already.
   *
   * @protected
   * @param {StreamEvent} event
   */
  take(event) {
    if (event.eventId !== undefined) this.lastEventId = event.eventId;
    return true;
  }

  /** @protected */
  endsSilently() {
    return false;
  }

  /**
   * Connects again, or throws why that can't be; false when the stream has ended meanwhile.
   *
   * @param {any} broken
   */
  async #connectAgain(broken) {
    this.#connection?.close();
    if (this.resume === undefined) throw broken;
    if (broken instanceof Unauthorized) await this.transport.renew(this.#token, broken);
    const giveUp = performance.now() + this.reconnect * 1000;
    for (let tries = 0; performance.now() < giveUp; tries++) {
      try {
        await this.open("GET", this.resume);
        return true;
      } catch (failed) {
        if (failed instanceof NotFound && this.endsSilently()) return false;
        if (!passing(failed) || failed instanceof Unauthorized || this.transport.closing.aborted) throw failed;
        broken = failed;
      }
      const left = Math.max(0, giveUp - performance.now()) / 1000;
      await this.transport.sleep(Math.min(backoff(tries), left), this.signal);
    }
    throw broken;
  }
}

/** An MCP server's log: it has no last event, and ends when the server is deleted. */
export class LogStream extends EventStream {
  /** @protected */
  endsSilently() {
    return true;
  }
}

/** A run's events: start, token, tool_call, tool_result, usage, restart, end. */
export class RunStream extends EventStream {
  /** @type {{number: number, content: string}[]} */
  #tokens = [];
  /** As the start told. @type {string | undefined} */
  runId;
  /** As the start told. @type {string | undefined} */
  sessionId;
  /** The last event, once it has come. @type {StreamEvent | undefined} */
  end;

  /** The answer so far. After a restart it is without what the crash cut. */
  get text() {
    return this.#tokens.map((one) => one.content).join("");
  }

  /**
   * Reads to the end, and gives the answer.
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
  take(event) {
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
        this.#tokens = this.#tokens.filter((one) => one.number <= event.drop_after);
        break;
      case "end":
        this.end = event;
    }
    return true;
  }
}

/** @param {unknown} error */
function passing(error) {
  return error instanceof ConnectionFailed || error instanceof ServiceUnavailable || error instanceof Unauthorized;
}

/**
 * Reads the events of one connection, each as soon as it is whole.
 *
 * @param {import("./transport.js").Connection} connection
 * @returns {AsyncGenerator<StreamEvent>}
 */
async function* eventsOf(connection) {
  const decoder = new TextDecoder();
  let rest = "";
  /** @type {number | undefined} */
  let number;
  /** @type {string[]} */
  let data = [];
  for await (const piece of connection.pieces()) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = /** @type {string} */ (lines.pop());
    for (const whole of lines) {
      const line = whole.replace(/\r$/, "");
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
