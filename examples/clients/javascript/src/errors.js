// The errors of the client. Each one is an AgentAreaError.

/** An error of the API, or of a request to it. */
export class AgentAreaError extends Error {
  /**
   * @param {string} code the code of the error, such as "VALIDATION_ERROR"
   * @param {string} message a description for people
   * @param {object} [more]
   * @param {number} [more.status] the HTTP status; undefined if there was no response, and for errors in a stream
   * @param {Record<string, any>} [more.details] more information from the server, such as a list of all errors of the input
   * @param {string} [more.requestId] the request's id in the server's log
   * @param {number} [more.retryAfter] seconds to wait before a retry
   * @param {unknown} [more.cause]
   */
  constructor(code, message, { status, details, requestId, retryAfter, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = this.constructor.name;
    this.code = code;
    this.status = status;
    /** @type {Record<string, any>} */
    this.details = details ?? {};
    /** The invalid field or parameter, if any. @type {string | undefined} */
    this.field = this.details.field;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/** 400: field and details.issue describe the invalid input. */
export class ValidationError extends AgentAreaError {}
/** 401: the token is invalid or has expired. Sign in again. */
export class Unauthorized extends AgentAreaError {}
/** 403: you do not have permission. */
export class Forbidden extends AgentAreaError {}
/** 404: the object does not exist, or you do not have access to it. */
export class NotFound extends AgentAreaError {}
/** 405: the path does not support this method. */
export class MethodNotAllowed extends AgentAreaError {}
/** 409: the object already exists or is busy. */
export class Conflict extends AgentAreaError {}
/** 412: the object has changed since you read it. */
export class PreconditionFailed extends AgentAreaError {}
/** 413: the request is too large. */
export class PayloadTooLarge extends AgentAreaError {}
/** 415: the server does not accept this content type. */
export class UnsupportedMediaType extends AgentAreaError {}
/** 429: too many requests. Retry after retryAfter seconds. */
export class RateLimited extends AgentAreaError {}
/** 500: an internal error. requestId identifies it in the server's log. */
export class InternalError extends AgentAreaError {}
/** 502: an LLM provider or an MCP server failed. */
export class UpstreamError extends AgentAreaError {}
/** 503: the server is temporarily unavailable. Retry in a moment. */
export class ServiceUnavailable extends AgentAreaError {}
/** 504: an LLM provider or an MCP server did not respond in time. */
export class UpstreamTimeout extends AgentAreaError {}
/** 507: the file backend has no storage space left. */
export class InsufficientStorage extends AgentAreaError {}
/** There was no response, or only a part of it. The server may have processed the request. */
export class ConnectionFailed extends AgentAreaError {}
/** There was no response in time. */
export class TimedOut extends ConnectionFailed {}
/** The received bytes differ from those that were sent. */
export class ChecksumMismatch extends AgentAreaError {}

/** @type {Record<string, typeof AgentAreaError>} */
const byCode = {
  VALIDATION_ERROR: ValidationError,
  UNAUTHORIZED: Unauthorized,
  FORBIDDEN: Forbidden,
  NOT_FOUND: NotFound,
  METHOD_NOT_ALLOWED: MethodNotAllowed,
  CONFLICT: Conflict,
  PRECONDITION_FAILED: PreconditionFailed,
  PAYLOAD_TOO_LARGE: PayloadTooLarge,
  UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
  RATE_LIMITED: RateLimited,
  INTERNAL_ERROR: InternalError,
  UPSTREAM_ERROR: UpstreamError,
  SERVICE_UNAVAILABLE: ServiceUnavailable,
  UPSTREAM_TIMEOUT: UpstreamTimeout,
  INSUFFICIENT_STORAGE: InsufficientStorage,
};

// For responses that do not come from the API, such as those of a proxy.
/** @type {Record<number, string>} */
const codeByStatus = {
  400: "VALIDATION_ERROR",
  401: "UNAUTHORIZED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  405: "METHOD_NOT_ALLOWED",
  409: "CONFLICT",
  412: "PRECONDITION_FAILED",
  413: "PAYLOAD_TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
  429: "RATE_LIMITED",
  502: "UPSTREAM_ERROR",
  503: "SERVICE_UNAVAILABLE",
  504: "UPSTREAM_TIMEOUT",
  507: "INSUFFICIENT_STORAGE",
};

/**
 * Returns the error for an error object of the API: {code, message, …}.
 *
 * @param {any} failure
 * @param {{status?: number, requestId?: string, retryAfter?: number}} [more]
 * @returns {AgentAreaError}
 */
export function errorOf(failure, { status, requestId, retryAfter } = {}) {
  const code = failure?.code ?? codeByStatus[status ?? 0] ?? "INTERNAL_ERROR";
  const Kind = byCode[code] ?? AgentAreaError;
  return new Kind(code, failure?.message ?? `The server responded with status ${status}`, {
    status,
    details: failure?.details,
    requestId: failure?.request_id ?? requestId,
    retryAfter,
  });
}

/**
 * Returns a ConnectionFailed for a lost connection, with the message of its cause.
 *
 * @param {string} message
 * @param {unknown} [cause]
 */
export function connectionLost(message, cause) {
  const reason = cause instanceof Error ? `: ${cause.cause instanceof Error ? cause.cause.message : cause.message}` : "";
  return new ConnectionFailed("CONNECTION_FAILED", message + reason, { cause });
}
