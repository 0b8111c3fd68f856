// Files: uploads and downloads, lost connections, memory use.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import * as agentarea from "../src/index.js";
import { Proxy, Scripted, admin, here, server, sha256 } from "./harness.js";

const { AgentAreaClient } = agentarea;
const size = 8 << 20;
const content = randomBytes(size);
const dir = mkdtempSync(path.join(tmpdir(), "agentarea-clients-"));
const source = path.join(dir, 'a "name" – ü.bin');

let client;
before(async () => {
  writeFileSync(source, content);
  client = await admin();
});
after(() => rmSync(dir, { recursive: true }));

/** Returns a WritableStream, and a function that returns the written bytes. */
function memoryStream(onWrite = () => {}) {
  const chunks = [];
  const write = (chunk) => {
    chunks.push(chunk);
    onWrite(Buffer.concat(chunks).length);
  };
  return [new WritableStream({ write }), () => Buffer.concat(chunks)];
}

test("upload and download", async () => {
  const file = await client.uploadFile(source, { metadata: { project: "x" } });
  assert.deepEqual([file.name, file.size, file.sha256], [path.basename(source), size, sha256(content)]);
  const back = path.join(dir, "back");
  assert.equal((await client.downloadFile(file.id, back)).id, file.id);
  assert.ok(readFileSync(back).equals(content));
  const [target, bytes] = memoryStream();
  await client.downloadFile(file.id, target);
  assert.ok(bytes().equals(content));
  assert.ok(Buffer.from(await client.readFile(file.id)).equals(content));
  await client.downloadFile(file.id, pathToFileURL(back));
  assert.equal((await client.readFile((await client.uploadFile(new Blob([]))).id)).length, 0);
});

test("sources", async () => {
  for (const [one, name] of [
    [pathToFileURL(source), path.basename(source)],
    [new File([content], "a.bin"), "a.bin"],
    [content, "file"],
    [createReadStream(source), "file"],
    [new Blob([content]).stream(), "file"],
  ]) {
    const file = await client.uploadFile(one);
    assert.deepEqual([file.name, file.sha256], [name, sha256(content)]);
  }
});

test("an upload with an expired token", async () => {
  const own = await (await server()).login();
  const stale = new AgentAreaClient(own.baseUrl, "stale", { refreshToken: own.refreshToken });
  assert.equal((await stale.uploadFile(source)).sha256, sha256(content));
});

test("an interrupted download is resumed", async () => {
  const file = await client.uploadFile(source);
  const proxy = await Proxy.start((await server()).listen);
  let drops = 0;
  const [target, bytes] = memoryStream((length) => {
    if (length > (drops + 1) * (2 << 20) && drops < 3) {
      drops++;
      proxy.drop();
    }
  });
  await new AgentAreaClient(proxy.url, client.token).downloadFile(file.id, target);
  assert.ok(bytes().equals(content));
  assert.ok(proxy.connections >= 4, String(proxy.connections));
  proxy.close();
});

test("a file with wrong bytes causes an error and is not stored", async () => {
  const info = { id: "file-1", size: 3, sha256: sha256("abc") };
  const target = path.join(dir, "kept");
  writeFileSync(target, "old content");
  const before = readdirSync(dir);
  for (const call of [(c) => c.downloadFile("file-1", target), (c) => c.downloadFile("file-1", memoryStream()[0]), (c) => c.readFile("file-1")]) {
    const scripted = await Scripted.start([200, {}, info], [200, {}, "abd"]);
    await assert.rejects(call(new AgentAreaClient(scripted.url, "t")), (error) => {
      assert.ok(error instanceof agentarea.ChecksumMismatch, error);
      return error.details.file_id === "file-1";
    });
    scripted.close();
  }
  assert.equal(readFileSync(target, "utf8"), "old content");
  assert.deepEqual(readdirSync(dir), before);
  const scripted = await Scripted.start([201, {}, info]);
  const upload = new AgentAreaClient(scripted.url, "t").uploadFile(Buffer.from("abd"));
  await assert.rejects(upload, agentarea.ChecksumMismatch);
  scripted.close();
});

test("uploading and downloading 200 MiB needs less than 150 MiB of additional memory", async () => {
  const big = path.join(dir, "big");
  writeFileSync(big, "");
  truncateSync(big, 200 << 20);
  const program = `
    import { readFileSync } from "node:fs";
    import { AgentAreaClient } from ${JSON.stringify(pathToFileURL(path.join(here, "../src/index.js")))};
    const [url, token, path] = process.argv.slice(1);
    const client = new AgentAreaClient(url, token);
    await client.me();
    // From the kernel, in KiB; resourceUsage includes the parent process.
    const peak = () => Number(readFileSync("/proc/self/status", "utf8").match(/VmHWM:\\s+(\\d+)/)[1]);
    const before = peak();
    const file = await client.uploadFile(path);
    await client.downloadFile(file.id, path + ".back");
    await client.deleteFile(file.id);
    console.log(peak() - before);`;
  const args = ["--input-type=module", "-e", program, client.baseUrl, client.token, big];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.ok(Number(stdout) > 0 && Number(stdout) < 150 << 10, stdout + stderr);
  assert.equal(statSync(`${big}.back`).size, 200 << 20);
});
