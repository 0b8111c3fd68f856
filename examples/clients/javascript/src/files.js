// Uploads and downloads of files: multipart forms that are sent in chunks, and hashes.
// Modules of Node.js are imported when they are needed, so that browsers can load this file.

/**
 * A source of an upload. A string is a path (Node.js only).
 *
 * @typedef {string | URL | Blob | ArrayBuffer | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>} Source
 */

/**
 * A target of a download. A string is a path (Node.js only).
 *
 * @typedef {string | URL | WritableStream<Uint8Array>} Target
 */

const inNode = typeof process !== "undefined" && Boolean(process.versions?.node);

/**
 * Returns the content of a source and its name. The content is a Blob, which can be read several times, or a
 * stream, which can be read once.
 *
 * @param {Source} source
 * @param {string} [name]
 * @returns {Promise<{content: Blob | AsyncIterable<Uint8Array>, name: string}>}
 */
export async function openSource(source, name) {
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
  // Browsers cannot send streams over HTTP/1. They may store a Blob on the disk.
  return { content: await new Response(/** @type {any} */ (source)).blob(), name: name ?? "file" };
}

/**
 * Returns the form of an upload. It hashes the file's bytes while they are sent.
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
  const chunks = multipart(boundary, sha256.of(/** @type {any} */ (bytes)), name, metadata);
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return(undefined);
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
  const head = (/** @type {string} */ parameters) => text.encode(`--${boundary}\r\nContent-Disposition: form-data; ${parameters}\r\n\r\n`);
  if (metadata !== undefined) {
    yield head('name="metadata"');
    yield text.encode(`${JSON.stringify(metadata)}\r\n`);
  }
  // A line break would start a new header, and the server rejects such names.
  const quoted = name.replace(/["\\]/g, "\\$&").replace(/[\r\n]/g, " ");
  yield head(`name="file"; filename="${quoted}"`);
  yield* content;
  yield text.encode(`\r\n--${boundary}--\r\n`);
}

/** Hashes bytes while they are streamed. In browsers, which cannot do that, hex returns undefined. */
export class Sha256 {
  /** @type {(() => import("node:crypto").Hash) | undefined} */
  #make;
  /** @type {import("node:crypto").Hash | undefined} */
  #hash;

  static async load() {
    const instance = new Sha256();
    if (inNode) {
      const { createHash } = await import("node:crypto");
      instance.#make = () => createHash("sha256");
    }
    return instance;
  }

  /**
   * Yields the chunks of content and hashes them. A new call replaces the hash of an earlier attempt.
   *
   * @param {AsyncIterable<Uint8Array>} content
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *of(content) {
    const hash = (this.#hash = this.#make?.());
    for await (const chunk of content) {
      hash?.update(chunk);
      yield chunk;
    }
  }

  /** @returns {string | undefined} */
  hex() {
    return this.#hash?.digest("hex");
  }
}

/**
 * Returns the SHA-256 of bytes in hexadecimal, or undefined without Web Crypto, such as on a page that was loaded
 * over plain HTTP.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<string | undefined>}
 */
export async function digest(bytes) {
  const sum = await globalThis.crypto?.subtle?.digest("SHA-256", /** @type {any} */ (bytes));
  return sum && [...new Uint8Array(sum)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Creates a temporary file, which finish renames to the target.
 *
 * @param {string | URL} target
 */
export async function createPartial(target) {
  const fs = await import("node:fs/promises");
  const { fileURLToPath } = await import("node:url");
  const path = target instanceof URL ? fileURLToPath(target) : target;
  const partialPath = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  const file = await fs.open(partialPath, "wx");
  return {
    write: (/** @type {Uint8Array} */ chunk) => file.writeFile(chunk),
    async finish() {
      await file.close();
      await fs.rename(partialPath, path);
    },
    async abandon() {
      await file.close().catch(() => {});
      await fs.rm(partialPath, { force: true });
    },
  };
}
