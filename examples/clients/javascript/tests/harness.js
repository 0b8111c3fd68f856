// Test fixtures: a built AgentArea server, a proxy that drops connections, a scripted server.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { openSync, closeSync, readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { AgentAreaClient } from "../src/index.js";

export const here = path.dirname(fileURLToPath(import.meta.url));
export const password = "correct-horse-battery-staple";

/** The WebSocket class of Node.js, or of the package ws in AGENTAREA_NODE_MODULES. */
export const WebSocket = globalThis.WebSocket ?? loadWebSocket();

function loadWebSocket() {
  try {
    return createRequire(`${process.env.AGENTAREA_NODE_MODULES ?? here}/`)("ws").WebSocket;
  } catch {
    return undefined;
  }
}

const plugins = `
file_backend = "local"
plugin "llm" "echo" {
  command = "llm-echo"
  config {
    models = ["echo", "gpt-4"]
  }
}
plugin "agent" "chat" {
  command = "agent-chat"
}
plugin "files" "local" {
  command = "files-local"
}
plugin "files" "other" {
  command = "files-local"
}
plugin "mcp" "stdio" {
  command = "mcp-stdio"
}
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
`;

/** The folder of the built server: AGENTAREA_BIN, or the output of make build. */
const binaries = process.env.AGENTAREA_BIN ?? path.resolve(here, "../../../../bin");

/** A server with its own folder. */
export class Server {
  dir = mkdtempSync(path.join(tmpdir(), "agentarea-clients-"));
  listen = "127.0.0.1:0";

  static async start(env = {}) {
    const server = new Server();
    server.env = env;
    writeFileSync(path.join(server.dir, "plugins.hcl"), plugins);
    process.on("exit", () => server.remove());
    await server.start();
    return server;
  }

  async start() {
    const program = path.join(binaries, "agentarea");
    if (!existsSync(program)) throw new Error(`${program} does not exist: run make build, or set AGENTAREA_BIN`);
    const log = openSync(path.join(this.dir, "log"), "a");
    this.process = spawn(program, ["serve", "--listen", this.listen], {
      cwd: this.dir,
      env: {
        PATH: process.env.PATH,
        HOME: this.dir,
        TMPDIR: tmpdir(),
        AGENTAREA_ADMIN_PASSWORD: password,
        AGENTAREA_WATCH_CONFIG: "false",
        // Tests of rate limits use another server.
        AGENTAREA_RATE_LIMIT_PER_MINUTE: "0",
        AGENTAREA_RATE_LIMIT_BURST: "0",
        AGENTAREA_DRAIN_DELAY: "0",
        ...this.env,
      },
      stdio: ["ignore", "pipe", log],
    });
    closeSync(log);
    let banner = "";
    this.process.stdout.on("data", (data) => (banner += data));
    await eventually(() => {
      if (this.process.exitCode !== null) {
        throw new Error(`the server did not start: ${readFileSync(path.join(this.dir, "log"))}`);
      }
      return banner.includes("Plugins:");
    });
    this.url = banner.match(/API +(http:\/\/\S+)/)[1];
    this.listen = this.url.slice("http://".length);
    const client = new AgentAreaClient(this.url, undefined, { retries: 0 });
    await eventually(() => client.healthReady().catch(() => undefined));
    this.process.unref();
    this.process.stdout.unref();
  }

  /** Kills the server with SIGKILL. */
  async kill() {
    const exited = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.ref();
    this.process.kill("SIGKILL");
    await exited;
  }

  remove() {
    this.process?.kill("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  login(options) {
    return AgentAreaClient.login(this.url, "admin", password, options);
  }
}

let shared;
/** The server that most tests of a file share. They must not stop it or change its settings. */
export const server = () => (shared ??= Server.start());

let signedIn;
/** A client of the shared server. Tests share it because logins are rate-limited. */
export const admin = () => (signedIn ??= server().then((item) => item.login()));

/** Waits until the condition is true and returns its value. */
export async function eventually(condition, seconds = 30) {
  for (const deadline = Date.now() + seconds * 1000; ; await sleep(20)) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`condition not met within ${seconds} s`);
  }
}

/** Returns the answer of the model echo to /tokens. */
export const tokens = (number) => Array.from({ length: number }, (_, i) => `token-${i + 1}`).join(" ");

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** A TCP proxy that can drop all its connections. */
export class Proxy {
  #open = new Set();
  connections = 0;

  static async start(address) {
    const [host, port] = address.split(":");
    const proxy = new Proxy();
    proxy.listener = net.createServer((client) => {
      proxy.connections++;
      const upstream = net.connect(Number(port), host);
      for (const item of [client, upstream]) {
        proxy.#open.add(item);
        item.on("error", () => {});
        item.on("close", () => proxy.#open.delete(item));
      }
      client.pipe(upstream).pipe(client);
    });
    await new Promise((resolve) => proxy.listener.listen(0, "127.0.0.1", resolve));
    proxy.listener.unref();
    proxy.url = `http://127.0.0.1:${proxy.listener.address().port}`;
    return proxy;
  }

  /** Resets all open connections. */
  drop() {
    for (const item of this.#open) item.resetAndDestroy();
  }

  /** Drops all connections and accepts no new ones. */
  close() {
    this.listener.close();
    this.drop();
  }
}

/**
 * An HTTP server that sends the responses of a script in order, and repeats the last one.
 *
 * A response is [status, headers, body]. null drops the connection, and a number does so after that many seconds.
 */
export class Scripted {
  requests = [];

  static async start(...script) {
    const item = new Scripted();
    item.server = http.createServer(async (request, response) => {
      const body = [];
      for await (const piece of request) body.push(piece);
      item.requests.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(body) });
      let answer = script.length > 1 ? script.shift() : script[0];
      if (typeof answer === "number") {
        await sleep(answer * 1000);
        answer = null;
      }
      if (answer === null) return request.socket.destroy();
      const [status, headers, content] = answer;
      const data = typeof content === "string" ? content : JSON.stringify(content);
      response.writeHead(status, { "Content-Type": "application/json", ...headers });
      if (headers["Content-Length"]) response.write(data, () => request.socket.destroy());
      else response.end(data);
    });
    await new Promise((resolve) => item.server.listen(0, "127.0.0.1", resolve));
    item.server.unref();
    item.url = `http://127.0.0.1:${item.server.address().port}`;
    return item;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export const failure = (code, details = {}) => ({
  error: { code, message: `scripted error: ${code}`, details, request_id: "req-1" },
});
