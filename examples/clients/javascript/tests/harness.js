// What the tests run against: a built AgentArea, a proxy that cuts, a server with a script.

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

/** The WebSocket of Node.js, or that of ws from where AGENTAREA_NODE_MODULES says; without either, its tests tell. */
export const WebSocket = globalThis.WebSocket ?? packaged();

function packaged() {
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

/** The folder of the built server, as AGENTAREA_BIN names it or as make build fills it. */
const binaries = process.env.AGENTAREA_BIN ?? path.resolve(here, "../../../../bin");

/** A server with a folder of its own. */
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
    if (!existsSync(program)) throw new Error(`there is no ${program}: run make build, or set AGENTAREA_BIN`);
    const log = openSync(path.join(this.dir, "log"), "a");
    this.process = spawn(program, ["serve", "--listen", this.listen], {
      cwd: this.dir,
      env: {
        PATH: process.env.PATH,
        HOME: this.dir,
        TMPDIR: tmpdir(),
        AGENTAREA_ADMIN_PASSWORD: password,
        AGENTAREA_WATCH_CONFIG: "false",
        // What is tested of limits has a server of its own.
        AGENTAREA_RATE_LIMIT_PER_MINUTE: "0",
        AGENTAREA_RATE_LIMIT_BURST: "0",
        ...this.env,
      },
      stdio: ["ignore", "pipe", log],
    });
    closeSync(log);
    let banner = "";
    this.process.stdout.on("data", (data) => (banner += data));
    await eventually(() => {
      if (this.process.exitCode !== null) {
        throw new Error(`the server does not start: ${readFileSync(path.join(this.dir, "log"))}`);
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

  /** Ends it as kill -9 does. */
  async kill() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.ref();
    this.process.kill("SIGKILL");
    await ended;
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
/** The server that a file's tests share which leave it alone. */
export const server = () => (shared ??= Server.start());

let signedIn;
/** A client of the shared server. Signing in is limited, so tests share that, too. */
export const admin = () => (signedIn ??= server().then((one) => one.login()));

/** Waits until something is, and gives it. */
export async function eventually(condition, seconds = 30) {
  for (const giveUp = Date.now() + seconds * 1000; ; await sleep(20)) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > giveUp) throw new Error(`waited for ${seconds} s`);
  }
}

/** What the model echo answers to /tokens. */
export const tokens = (number) => Array.from({ length: number }, (_, i) => `token-${i + 1}`).join(" ");

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Passes connections on to an address until it cuts them. */
export class Proxy {
  #open = new Set();
  connections = 0;

  static async start(address) {
    const [host, port] = address.split(":");
    const proxy = new Proxy();
    proxy.listener = net.createServer((near) => {
      proxy.connections++;
      const far = net.connect(Number(port), host);
      for (const one of [near, far]) {
        proxy.#open.add(one);
        one.on("error", () => {});
        one.on("close", () => proxy.#open.delete(one));
      }
      near.pipe(far).pipe(near);
    });
    await new Promise((resolve) => proxy.listener.listen(0, "127.0.0.1", resolve));
    proxy.listener.unref();
    proxy.url = `http://127.0.0.1:${proxy.listener.address().port}`;
    return proxy;
  }

  /** Resets all connections that there are. */
  cut() {
    for (const one of this.#open) one.resetAndDestroy();
  }

  /** Cuts, and lets nobody in any more. */
  close() {
    this.listener.close();
    this.cut();
  }
}

/**
 * Answers requests with what the script says, one after another; the last one again and again.
 *
 * An answer is [status, headers, body]; null cuts the connection; a number waits so many seconds first.
 */
export class Scripted {
  requests = [];

  static async start(...script) {
    const one = new Scripted();
    one.server = http.createServer(async (request, response) => {
      const body = [];
      for await (const piece of request) body.push(piece);
      one.requests.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(body) });
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
    await new Promise((resolve) => one.server.listen(0, "127.0.0.1", resolve));
    one.server.unref();
    one.url = `http://127.0.0.1:${one.server.address().port}`;
    return one;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export const failure = (code, details = {}) => ({
  error: { code, message: `as the script says: ${code}`, details, request_id: "req-1" },
});
