// What can go wrong. Every error of the client is an AgentAreaError.

/** An error of the API, or on the way to it. */
export class AgentAreaError extends Error {
  /**
   * @param {string} code the kind of the error, such as "VALIDATION_ERROR"
   * @param {string} message what is wrong, for people
   * @param {object} [more]
   * @param {number} [more.status] the HTTP status; none when no reply came, and for errors in a stream
   * @param {Record<string, any>} [more.details] what more the server says, such as all that is wrong in errors
   * @param {string} [more.requestId] names the request in the server's log
   * @param {number} [more.retryAfter] seconds until another try makes sense
   * @param {unknown} [more.cause]
   */
  constructor(code, message, { status, details, requestId, retryAfter, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = this.constructor.name;
    this.code = code;
    this.status = status;
    /** @type {Record<string, any>} */
    this.details = details ?? {};
    /** The field or parameter that is wrong, if it is one. @type {string | undefined} */
    this.field = this.details.field;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/** 400: field and details.issue say what to change. */
export class ValidationError extends AgentAreaError {}
/** 401: the token is none, or not one any more: sign in again. */
export class Unauthorized extends AgentAreaError {}
/** 403: you may not do this. */
export class Forbidden extends AgentAreaError {}
/** 404: it is not there, or not for you. */
export class NotFound extends AgentAreaError {}
/** 405. */
export class MethodNotAllowed extends AgentAreaError {}
/** 409: it is there already, or busy. */
export class Conflict extends AgentAreaError {}
/** 412: it has changed since you read it. */
export class PreconditionFailed extends AgentAreaError {}
/** 413. */
export class PayloadTooLarge extends AgentAreaError {}
/** 415. */
export class UnsupportedMediaType extends AgentAreaError {}
/** 429: retryAfter says when to try again. */
export class RateLimited extends AgentAreaError {}
/** 500: requestId names it in the server's log. */
export class InternalError extends AgentAreaError {}
/** 502: a model's or tool's server failed. */
export class UpstreamError extends AgentAreaError {}
/** 503: try again in a moment. */
export class ServiceUnavailable extends AgentAreaError {}
/** 504: a model's or tool's server took too long. */
export class UpstreamTimeout extends AgentAreaError {}
/** 507: the file backend has no room. */
export class InsufficientStorage extends AgentAreaError {}
/** No reply came, or not all of it. Whether the request was carried out is unknown. */
export class ConnectionFailed extends AgentAreaError {}
/** No reply came in time. */
export class TimedOut extends ConnectionFailed {}
/** The bytes that arrived are not those that were sent. */
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

// For replies that are not the API's own, as those of a proxy in between.
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
 * Makes the error that the API's {code, message, …} tells of.
 *
 * @param {any} failure
 * @param {{status?: number, requestId?: string, retryAfter?: number}} [more]
 * @returns {AgentAreaError}
 */
export function errorOf(failure, { status, requestId, retryAfter } = {}) {
  const code = failure?.code ?? codeByStatus[status ?? 0] ?? "INTERNAL_ERROR";
  const Kind = byCode[code] ?? AgentAreaError;
  return new Kind(code, failure?.message ?? `The server answered with status ${status}`, {
    status,
    details: failure?.details,
    requestId: failure?.request_id ?? requestId,
    retryAfter,
  });
}

/**
 * @param {string} what
 * @param {unknown} [cause]
 */
export function cut(what, cause) {
  const why = cause instanceof Error ? `: ${cause.cause instanceof Error ? cause.cause.message : cause.message}` : "";
  return new ConnectionFailed("CONNECTION_FAILED", what + why, { cause });
}
