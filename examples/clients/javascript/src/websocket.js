// The WebSocket: what happens, live, and nothing missed after a break.

import { AgentAreaError, ConnectionFailed, Forbidden, NotFound, ServiceUnavailable, Unauthorized, cut, errorOf } from "./errors.js";
import { backoff } from "./transport.js";

// How often the server is asked whether it is still there, in seconds.
const pingEvery = 25;

// How many messages may wait to be read. Then the connection is closed, and made
// again when they have been.
const mostWaiting = 1000;

/**
 * @typedef {object} WebSocketOptions
 * @property {any} [WebSocket] the class to use: for Node.js before 22, that of the package ws
 * @property {number} [reconnect] how many seconds to try to connect again after a break, 60 unless given; 0: not at all
 */

/**
 * A message: task.status, agent.message or system.notification.
 *
 * @typedef {{type: string, channel: string, seq: number, [name: string]: any}} SocketMessage
 */

/**
 * A signed-in connection. Read it by one for await.
 *
 * It is made again when it breaks, and each subscription goes on after the last
 * message that came: each comes once and in order.
 */
export class AgentAreaWebSocket {
  #transport;
  #WebSocket;
  #reconnect;
  /** @type {any} */
  #socket;
  /** @type {string | undefined} the token that the connection was signed in by */
  #token;
  #closed = false;
  /** The number of the last message of each channel. @type {Map<string, number>} */
  #seen = new Map();
  /** @type {SocketMessage[]} */
  #waiting = [];
  /** What ended the connection, until it is made again. @type {any} */
  #broken;
  /** @type {Promise<void> | undefined} */
  #connecting;
  /** @type {{want: string, channel?: string, resolve: (frame: any) => void, reject: (error: any) => void} | undefined} */
  #asked;
  /** The end of the last question: there is one at a time. @type {Promise<unknown>} */
  #asking = Promise.resolve();
  /** Tells the reader that there is something. */
  #wake = () => {};
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pinging;
  #heard = true;

  /**
   * @param {import("./transport.js").Transport} transport
   * @param {WebSocketOptions} options
   */
  constructor(transport, { WebSocket = globalThis.WebSocket, reconnect = 60 }) {
    if (!WebSocket) {
      throw new AgentAreaError(
        "NO_WEBSOCKET",
        'There is no WebSocket here (Node.js has one from version 22 on): npm install ws, and pass { WebSocket } of import { WebSocket } from "ws"',
      );
    }
    this.#transport = transport;
    this.#WebSocket = WebSocket;
    this.#reconnect = reconnect;
    transport.closing.addEventListener("abort", this.#close);
  }

  #close = () => this.close();

  /** Connects and signs in. The client does it before it gives a connection. */
  async open() {
    await this.#connectUntilSignedIn(undefined);
    return this;
  }

  close() {
    this.#closed = true;
    this.#transport.closing.removeEventListener("abort", this.#close);
    this.#drop(cut("The WebSocket was closed"));
  }

  /**
   * Subscribes to agent.{id}.events, task.{id}.events, tasks or system.
   *
   * @param {string} channel
   * @param {{after?: number}} [options] after: what came after that seq is told first
   * @returns {Promise<number>} the seq from which on messages are told
   */
  async subscribe(channel, { after } = {}) {
    const { seq } = await this.#ask({ type: "subscribe", channel, after }, "subscribed", (answer) =>
      this.#seen.set(channel, answer.seq),
    );
    return seq;
  }

  /**
   * Ends a subscription. What has come of it is told still.
   *
   * @param {string} channel
   */
  async unsubscribe(channel) {
    await this.#ask({ type: "unsubscribe", channel }, "unsubscribed", () => this.#seen.delete(channel));
  }

  /**
   * Gives messages until it is closed.
   *
   * @returns {AsyncGenerator<SocketMessage>}
   */
  async *[Symbol.asyncIterator]() {
    for (;;) {
      const message = this.#waiting.shift();
      if (message) {
        yield message;
      } else if (this.#closed) {
        return;
      } else if (this.#broken) {
        await this.#connectAgain();
      } else {
        await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
      }
    }
  }

  /**
   * Says something once what was said before has its answer, and gives the answer.
   *
   * @param {Record<string, any>} frame
   * @param {string} want
   * @param {(answer: any) => void} note
   */
  #ask(frame, want, note) {
    const answer = this.#asking.then(async () => {
      for (;;) {
        if (this.#closed) throw cut("The WebSocket was closed");
        if (this.#broken) await this.#connectAgain();
        try {
          return await this.#askNow(frame, want, note);
        } catch (failed) {
          if (!(failed instanceof ConnectionFailed)) throw failed;
        }
      }
    });
    this.#asking = answer.catch(() => {});
    return answer;
  }

  /**
   * @param {Record<string, any>} frame
   * @param {string} want
   * @param {(answer: any) => void} [note] is called before any later message is looked at
   * @returns {Promise<any>}
   */
  #askNow(frame, want, note) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#drop(cut(`No answer to ${frame.type}`)), this.#transport.timeout * 1000);
      this.#asked = {
        want,
        channel: frame.channel,
        resolve: (answer) => {
          clearTimeout(timer);
          note?.(answer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#socket.send(JSON.stringify(frame));
    });
  }

  /** @param {any} frame */
  #hear(frame) {
    this.#heard = true;
    const asked = this.#asked;
    if (frame.type === "error") {
      const error = errorOf(frame.error);
      if (asked) {
        this.#asked = undefined;
        asked.reject(error);
      } else {
        this.#drop(error);
      }
    } else if (asked && frame.type === asked.want && frame.channel === asked.channel) {
      this.#asked = undefined;
      asked.resolve(frame);
    } else if (frame.seq > (this.#seen.get(frame.channel) ?? Infinity) && !this.#broken) {
      this.#seen.set(frame.channel, frame.seq);
      this.#waiting.push(frame);
      if (this.#waiting.length >= mostWaiting) this.#drop(cut("Too many messages wait to be read"));
      this.#wake();
    }
  }

  /**
   * Ends the connection that there is.
   *
   * @param {any} error
   */
  #drop(error) {
    const socket = this.#socket;
    this.#socket = undefined;
    clearInterval(this.#pinging);
    this.#broken ??= error;
    this.#asked?.reject(error);
    this.#asked = undefined;
    if (socket) {
      socket.onmessage = socket.onclose = socket.onopen = null;
      socket.onerror = () => {}; // it may be told still
      socket.close();
    }
    this.#wake();
  }

  /** Reader and asker may both find the connection broken; it is made once. */
  #connectAgain() {
    this.#connecting ??= this.#connectUntilSignedIn(this.#broken).finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  /** @param {any} broken */
  async #connectUntilSignedIn(broken) {
    const first = broken === undefined;
    const giveUp = performance.now() + this.#reconnect * 1000;
    let renewed = false;
    for (let tries = 0; ; ) {
      if (broken instanceof Unauthorized) {
        if (renewed) throw broken;
        renewed = true;
        await this.#transport.renew(this.#token, broken);
      } else if (broken !== undefined) {
        const passes = broken instanceof ConnectionFailed || broken instanceof ServiceUnavailable;
        if (first || !passes || this.#closed || this.#reconnect <= 0 || (tries > 0 && performance.now() > giveUp)) throw broken;
        if (tries > 0) await this.#transport.sleep(backoff(tries - 1));
        tries++;
      }
      try {
        const gone = await this.#connect();
        if (this.#closed) this.#drop(cut("The WebSocket was closed"));
        if (gone) throw gone;
        return;
      } catch (failed) {
        if (this.#socket) throw failed;
        broken = failed;
      }
    }
  }

  /**
   * Makes a connection, signs in and subscribes. A channel that is not there any more
   * is given up, and why is given.
   */
  async #connect() {
    const url = `ws${this.#transport.baseUrl.slice("http".length)}/v1/ws`;
    const socket = new this.#WebSocket(url);
    this.#socket = socket;
    this.#broken = undefined;
    try {
      await new Promise((resolve, reject) => {
        this.#asked = { want: "", resolve, reject };
        socket.onopen = resolve;
        socket.onerror = (/** @type {any} */ event) => this.#drop(cut(`WebSocket ${url}`, event.error ?? new Error(event.message || "it failed")));
        socket.onclose = (/** @type {any} */ event) => this.#drop(closed(event));
        socket.onmessage = (/** @type {any} */ event) => this.#hear(JSON.parse(event.data));
      });
      this.#asked = undefined;
      this.#token = this.#transport.token;
      await this.#askNow({ type: "auth", token: this.#token ?? "" }, "auth.ok");
      let gone;
      for (const [channel, after] of this.#seen) {
        try {
          await this.#askNow({ type: "subscribe", channel, after }, "subscribed");
        } catch (failed) {
          if (!(failed instanceof NotFound || failed instanceof Forbidden)) throw failed;
          this.#seen.delete(channel);
          gone = failed;
        }
      }
      this.#ping();
      return gone;
    } catch (failed) {
      this.#drop(failed);
      throw failed;
    }
  }

  /** Finds out that nobody is there any more, which no closing told. */
  #ping() {
    this.#heard = true;
    clearInterval(this.#pinging);
    this.#pinging = setInterval(() => {
      if (!this.#heard) return this.#drop(cut("The WebSocket is silent"));
      this.#heard = false;
      this.#socket?.send('{"type":"ping"}');
    }, pingEvery * 1000);
  }
}

/** @param {{code: number, reason: string}} event */
function closed({ code, reason }) {
  const what = `The server has closed the WebSocket: ${code} ${reason}`;
  // 1008 is the login's end; too many mistakes it can't be.
  return code === 1008 ? new Unauthorized("UNAUTHORIZED", what) : cut(what);
}
