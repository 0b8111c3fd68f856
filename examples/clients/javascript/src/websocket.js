// The WebSocket: live events, without losing any after a reconnect.

import { AgentAreaError, ConnectionFailed, Forbidden, NotFound, ServiceUnavailable, Unauthorized, connectionLost, errorOf } from "./errors.js";
import { backoff } from "./transport.js";

// The interval of pings, in seconds.
const pingInterval = 25;

// How many unread messages are queued. Then the connection is closed, and restored after they have
// been read.
const maxQueued = 1000;

/**
 * @typedef {object} WebSocketOptions
 * @property {any} [WebSocket] the class to use; before Node.js 22: the class of the package ws
 * @property {number} [reconnect] how many seconds to try to reconnect; default 60; 0: never
 */

/**
 * A message: task.status, agent.message or system.notification.
 *
 * @typedef {{type: string, channel: string, seq: number, [name: string]: any}} SocketMessage
 */

/**
 * An authenticated connection. Read it with a single for await.
 *
 * A lost connection is restored. Each subscription continues after its last message, so that messages arrive once and
 * in order.
 */
export class AgentAreaWebSocket {
  #transport;
  #WebSocket;
  #reconnect;
  /** @type {any} */
  #socket;
  /** @type {string | undefined} the token of the connection */
  #token;
  #closed = false;
  /** The seq of the last message of each channel. @type {Map<string, number>} */
  #lastSeq = new Map();
  /** @type {SocketMessage[]} */
  #queue = [];
  /** The error that ended the connection, until it is restored. @type {any} */
  #error;
  /** @type {Promise<void> | undefined} */
  #connecting;
  /** @type {{replyType: string, channel?: string, resolve: (frame: any) => void, reject: (error: any) => void} | undefined} */
  #pendingRequest;
  /** The end of the last request; there is only one at a time. @type {Promise<unknown>} */
  #lastRequest = Promise.resolve();
  /** Wakes the reader. */
  #wake = () => {};
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pingTimer;
  #alive = true;

  /**
   * @param {import("./transport.js").Transport} transport
   * @param {WebSocketOptions} options
   */
  constructor(transport, { WebSocket = globalThis.WebSocket, reconnect = 60 }) {
    if (!WebSocket) {
      throw new AgentAreaError(
        "NO_WEBSOCKET",
        'No WebSocket class is available. Before Node.js 22, run npm install ws, and pass { WebSocket } of import { WebSocket } from "ws"',
      );
    }
    this.#transport = transport;
    this.#WebSocket = WebSocket;
    this.#reconnect = reconnect;
    transport.closing.addEventListener("abort", this.#close);
  }

  #close = () => this.close();

  /** Connects and authenticates. The client calls it before it returns a connection. */
  async open() {
    await this.#connectUntilSignedIn(undefined);
    return this;
  }

  close() {
    this.#closed = true;
    this.#transport.closing.removeEventListener("abort", this.#close);
    this.#drop(connectionLost("The WebSocket was closed"));
  }

  /**
   * Subscribes to agent.{id}.events, task.{id}.events, tasks or system.
   *
   * @param {string} channel
   * @param {{after?: number}} [options] after: first deliver earlier messages with a higher seq
   * @returns {Promise<number>} the seq after which messages are delivered
   */
  async subscribe(channel, { after } = {}) {
    const { seq } = await this.#request({ type: "subscribe", channel, after }, "subscribed", (answer) =>
      this.#lastSeq.set(channel, answer.seq),
    );
    return seq;
  }

  /**
   * Ends a subscription. Messages that were already received are still delivered.
   *
   * @param {string} channel
   */
  async unsubscribe(channel) {
    await this.#request({ type: "unsubscribe", channel }, "unsubscribed", () => this.#lastSeq.delete(channel));
  }

  /**
   * Yields messages until the connection is closed.
   *
   * @returns {AsyncGenerator<SocketMessage>}
   */
  async *[Symbol.asyncIterator]() {
    for (;;) {
      const message = this.#queue.shift();
      if (message) {
        yield message;
      } else if (this.#closed) {
        return;
      } else if (this.#error) {
        await this.#reconnectNow();
      } else {
        await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
      }
    }
  }

  /**
   * Sends a frame after the reply to the previous one, and returns its reply.
   *
   * @param {Record<string, any>} frame
   * @param {string} replyType
   * @param {(answer: any) => void} onReply
   */
  #request(frame, replyType, onReply) {
    const answer = this.#lastRequest.then(async () => {
      for (;;) {
        if (this.#closed) throw connectionLost("The WebSocket was closed");
        if (this.#error) await this.#reconnectNow();
        try {
          return await this.#requestNow(frame, replyType, onReply);
        } catch (failed) {
          if (!(failed instanceof ConnectionFailed)) throw failed;
        }
      }
    });
    this.#lastRequest = answer.catch(() => {});
    return answer;
  }

  /**
   * @param {Record<string, any>} frame
   * @param {string} replyType
   * @param {(answer: any) => void} [onReply] called before later messages are processed
   * @returns {Promise<any>}
   */
  #requestNow(frame, replyType, onReply) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#drop(connectionLost(`The server did not reply to ${frame.type}`)), this.#transport.timeout * 1000);
      this.#pendingRequest = {
        replyType,
        channel: frame.channel,
        resolve: (answer) => {
          clearTimeout(timer);
          onReply?.(answer);
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
  #onFrame(frame) {
    this.#alive = true;
    const pending = this.#pendingRequest;
    if (frame.type === "error") {
      const error = errorOf(frame.error);
      if (pending) {
        this.#pendingRequest = undefined;
        pending.reject(error);
      } else {
        this.#drop(error);
      }
    } else if (pending && frame.type === pending.replyType && frame.channel === pending.channel) {
      this.#pendingRequest = undefined;
      pending.resolve(frame);
    } else if (frame.seq > (this.#lastSeq.get(frame.channel) ?? Infinity) && !this.#error) {
      this.#lastSeq.set(frame.channel, frame.seq);
      this.#queue.push(frame);
      if (this.#queue.length >= maxQueued) this.#drop(connectionLost("Too many unread messages"));
      this.#wake();
    }
  }

  /**
   * Closes the current connection.
   *
   * @param {any} error
   */
  #drop(error) {
    const socket = this.#socket;
    this.#socket = undefined;
    clearInterval(this.#pingTimer);
    this.#error ??= error;
    this.#pendingRequest?.reject(error);
    this.#pendingRequest = undefined;
    if (socket) {
      socket.onmessage = socket.onclose = socket.onopen = null;
      socket.onerror = () => {}; // an error event may still arrive
      socket.close();
    }
    this.#wake();
  }

  /** Restores the connection. Concurrent calls share one attempt. */
  #reconnectNow() {
    this.#connecting ??= this.#connectUntilSignedIn(this.#error).finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  /** @param {any} error */
  async #connectUntilSignedIn(error) {
    const first = error === undefined;
    const deadline = performance.now() + this.#reconnect * 1000;
    let renewed = false;
    for (let attempts = 0; ; ) {
      if (error instanceof Unauthorized) {
        if (renewed) throw error;
        renewed = true;
        await this.#transport.renew(this.#token, error);
      } else if (error !== undefined) {
        const temporary = error instanceof ConnectionFailed || error instanceof ServiceUnavailable;
        if (first || !temporary || this.#closed || this.#reconnect <= 0 || (attempts > 0 && performance.now() > deadline)) throw error;
        if (attempts > 0) await this.#transport.sleep(backoff(attempts - 1));
        attempts++;
      }
      try {
        const channelError = await this.#connect();
        if (this.#closed) this.#drop(connectionLost("The WebSocket was closed"));
        if (channelError) throw channelError;
        return;
      } catch (failed) {
        if (this.#socket) throw failed;
        error = failed;
      }
    }
  }

  /**
   * Connects, authenticates and subscribes. Removes a channel that no longer exists, and returns the error for it.
   */
  async #connect() {
    const url = `ws${this.#transport.baseUrl.slice("http".length)}/v1/ws`;
    const socket = new this.#WebSocket(url);
    this.#socket = socket;
    this.#error = undefined;
    try {
      await new Promise((resolve, reject) => {
        this.#pendingRequest = { replyType: "", resolve, reject };
        socket.onopen = resolve;
        socket.onerror = (/** @type {any} */ event) => this.#drop(connectionLost(`WebSocket ${url}`, event.error ?? new Error(event.message || "connection failed")));
        socket.onclose = (/** @type {any} */ event) => this.#drop(closed(event));
        socket.onmessage = (/** @type {any} */ event) => this.#onFrame(JSON.parse(event.data));
      });
      this.#pendingRequest = undefined;
      this.#token = this.#transport.token;
      await this.#requestNow({ type: "auth", token: this.#token ?? "" }, "auth.ok");
      let channelError;
      for (const [channel, after] of this.#lastSeq) {
        try {
          await this.#requestNow({ type: "subscribe", channel, after }, "subscribed");
        } catch (failed) {
          if (!(failed instanceof NotFound || failed instanceof Forbidden)) throw failed;
          this.#lastSeq.delete(channel);
          channelError = failed;
        }
      }
      this.#ping();
      return channelError;
    } catch (failed) {
      this.#drop(failed);
      throw failed;
    }
  }

  /** Sends pings, to detect a connection that was lost without a close event. */
  #ping() {
    this.#alive = true;
    clearInterval(this.#pingTimer);
    this.#pingTimer = setInterval(() => {
      if (!this.#alive) return this.#drop(connectionLost("The WebSocket received no data in time"));
      this.#alive = false;
      this.#socket?.send('{"type":"ping"}');
    }, pingInterval * 1000);
  }
}

/** @param {{code: number, reason: string}} event */
function closed({ code, reason }) {
  const message = `The server closed the WebSocket: ${code} ${reason}`;
  // 1008 means that the login has ended.
  return code === 1008 ? new Unauthorized("UNAUTHORIZED", message) : connectionLost(message);
}
