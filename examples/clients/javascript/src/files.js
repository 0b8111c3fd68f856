// The bytes of files on their way: forms that are sent in pieces, and hashes.
// What needs Node.js is imported when it is used, so that browsers load this, too.

/**
 * What can be uploaded. A string is a path, in Node.js.
 *
 * @typedef {string | URL | Blob | ArrayBuffer | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>} Source
 */

/**
 * Where a download can go. A string is a path, in Node.js.
 *
 * @typedef {string | URL | WritableStream<Uint8Array>} Target
 */

const inNode = typeof process !== "undefined" && Boolean(process.versions?.node);

/**
 * Gives what a source can be sent by: a Blob, which is read as it goes and can be again, or a
 * stream, which can't.
 *
 * @param {Source} source
 * @param {string} [name]
 * @returns {Promise<{content: Blob | AsyncIterable<Uint8Array>, name: string}>}
 */
export async function opened(source, name) {
  if (typeof source === "string" || source instanceof URL) {
    const { openAsBlob } = await import("node:fs");
    const path = source instanceof URL ? decodeURIComponent(source.pathname) : source;
    return { content: await openAsBlob(source), name: name ?? path.split(/[\\/]/).pop() ?? "file" };
  }
  if (source instanceof Blob) {
    return { content: source, name: name ?? /** @type {File} */ (source).name ?? "file" };
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return { content: new Blob([/** @type {any} */ (source)]), name: name ?? "file" };
  }
  if (inNode) return { content: /** @type {any} */ (source), name: name ?? "file" };
  // Browsers send no streams by HTTP/1, but keep a Blob on the disk.
  return { content: await new Response(/** @type {any} */ (source)).blob(), name: name ?? "file" };
}

/**
 * Makes the form of an upload, which hashes the file's bytes as they are sent.
 *
 * @param {Blob | AsyncIterable<Uint8Array>} content
 * @param {string} name
 * @param {object | undefined} metadata
 * @param {Sha256} sha256
 */
export function formOf(content, name, metadata, sha256) {
  if (!inNode) {
    const body = new FormData();
    if (metadata !== undefined) body.set("metadata", JSON.stringify(metadata));
    body.set("file", /** @type {Blob} */ (content), name);
    return { body };
  }
  const boundary = crypto.randomUUID();
  const bytes = content instanceof Blob ? content.stream() : content;
  const pieces = multipart(boundary, sha256.of(/** @type {any} */ (bytes)), name, metadata);
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
  return { body, headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` } };
}

/**
 * @param {string} boundary
 * @param {AsyncIterable<Uint8Array>} content
 * @param {string} name
 * @param {object} [metadata]
 * @returns {AsyncGenerator<Uint8Array>}
 */
async function* multipart(boundary, content, name, metadata) {
  const text = new TextEncoder();
  const head = (/** @type {string} */ part) => text.encode(`--${boundary}\r\nContent-Disposition: form-data; ${part}\r\n\r\n`);
  if (metadata !== undefined) {
    yield head('name="metadata"');
    yield text.encode(`${JSON.stringify(metadata)}\r\n`);
  }
  // Line breaks would be headers; the server refuses such a name.
  const quoted = name.replace(/["\\]/g, "\\$&").replace(/[\r\n]/g, " ");
  yield head(`name="file"; filename="${quoted}"`);
  yield* content;
  yield text.encode(`\r\n--${boundary}--\r\n`);
}

/** Hashes bytes as they pass. Browsers can't: there hex gives nothing. */
export class Sha256 {
  /** @type {(() => import("node:crypto").Hash) | undefined} */
  #make;
  /** @type {import("node:crypto").Hash | undefined} */
  #hash;

  static async load() {
    const one = new Sha256();
    if (inNode) {
      const { createHash } = await import("node:crypto");
      one.#make = () => createHash("sha256");
    }
    return one;
  }

  /**
   * Passes bytes on. What an earlier try still reads does not count.
   *
   * @param {AsyncIterable<Uint8Array>} content
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *of(content) {
    const hash = (this.#hash = this.#make?.());
    for await (const piece of content) {
      hash?.update(piece);
      yield piece;
    }
  }

  /** @returns {string | undefined} */
  hex() {
    return this.#hash?.digest("hex");
  }
}

/**
 * The SHA-256 of bytes that are in memory, in hex; nothing where there is no Web
 * Crypto, as on a page that came by plain HTTP.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<string | undefined>}
 */
export async function digest(bytes) {
  const sum = await globalThis.crypto?.subtle?.digest("SHA-256", /** @type {any} */ (bytes));
  return sum && [...new Uint8Array(sum)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * A file that is there under its name when it is whole, and not before.
 *
 * @param {string | URL} target
 */
export async function partial(target) {
  const fs = await import("node:fs/promises");
  const { fileURLToPath } = await import("node:url");
  const path = target instanceof URL ? fileURLToPath(target) : target;
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  const file = await fs.open(part, "wx");
  return {
    write: (/** @type {Uint8Array} */ piece) => file.writeFile(piece),
    async finish() {
      await file.close();
      await fs.rename(part, path);
    },
    async abandon() {
      await file.close().catch(() => {});
      await fs.rm(part, { force: true });
    },
  };
}
