"""The errors of the client. Each one is an AgentAreaError."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class AgentAreaError(Exception):
    """An error of the API, or of a request to it.

    code: the code of the error, such as "VALIDATION_ERROR".
    status: the HTTP status; None if there was no response, and for errors in a stream.
    message: a description for people.
    details: more information from the server, such as a list of all "errors" of the input, the
        "id" of the object that the error is about, and the "run_id" of a run that failed.
    field: the invalid field or parameter, if any.
    request_id: the request's id in the server's log.
    retry_after: seconds to wait before a retry, if the server specifies them.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: Optional[int] = None,
        details: Optional[Mapping[str, Any]] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = dict(details or {})
        self.field: Optional[str] = self.details.get("field")
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        issue = self.details.get("issue")
        if self.field and issue != self.message:
            text += f" ({self.field}: {issue})"
        if self.request_id:
            text += f" [{self.request_id}]"
        return text


class ValidationError(AgentAreaError):
    """400: field and details["issue"] describe the invalid input."""


class Unauthorized(AgentAreaError):
    """401: the token is invalid or has expired. Sign in again."""


class Forbidden(AgentAreaError):
    """403: you do not have permission."""


class NotFound(AgentAreaError):
    """404: the object does not exist, or you do not have access to it."""


class MethodNotAllowed(AgentAreaError):
    """405: the path does not support this method."""


class Conflict(AgentAreaError):
    """409: the object already exists or is busy."""


class PreconditionFailed(AgentAreaError):
    """412: the object has changed since you read it."""


class PayloadTooLarge(AgentAreaError):
    """413: the request is too large."""


class UnsupportedMediaType(AgentAreaError):
    """415: the server does not accept this content type."""


class RateLimited(AgentAreaError):
    """429: too many requests. Retry after retry_after seconds."""


class InternalError(AgentAreaError):
    """500: an internal error. request_id identifies it in the server's log."""


class UpstreamError(AgentAreaError):
    """502: an LLM provider or an MCP server failed."""


class ServiceUnavailable(AgentAreaError):
    """503: the server is temporarily unavailable. Retry in a moment."""


class UpstreamTimeout(AgentAreaError):
    """504: an LLM provider or an MCP server did not respond in time."""


class InsufficientStorage(AgentAreaError):
    """507: the file backend has no storage space left."""


class ConnectionFailed(AgentAreaError):
    """There was no response, or only a part of it. The server may have processed the request."""


class TimedOut(ConnectionFailed):
    """There was no response in time."""


class ChecksumMismatch(AgentAreaError):
    """The received bytes differ from those that were sent."""


BY_CODE = {
    "VALIDATION_ERROR": ValidationError,
    "UNAUTHORIZED": Unauthorized,
    "FORBIDDEN": Forbidden,
    "NOT_FOUND": NotFound,
    "METHOD_NOT_ALLOWED": MethodNotAllowed,
    "CONFLICT": Conflict,
    "PRECONDITION_FAILED": PreconditionFailed,
    "PAYLOAD_TOO_LARGE": PayloadTooLarge,
    "UNSUPPORTED_MEDIA_TYPE": UnsupportedMediaType,
    "RATE_LIMITED": RateLimited,
    "INTERNAL_ERROR": InternalError,
    "UPSTREAM_ERROR": UpstreamError,
    "SERVICE_UNAVAILABLE": ServiceUnavailable,
    "UPSTREAM_TIMEOUT": UpstreamTimeout,
    "INSUFFICIENT_STORAGE": InsufficientStorage,
    "CONNECTION_FAILED": ConnectionFailed,
    "TIMEOUT": TimedOut,
    "CHECKSUM_MISMATCH": ChecksumMismatch,
}

# For responses that do not come from the API, such as those of a proxy.
CODE_BY_STATUS = {
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
}


def make_error(
    failure: Any,
    status: Optional[int] = None,
    request_id: Optional[str] = None,
    retry_after: Optional[float] = None,
) -> AgentAreaError:
    """Returns the exception for an error object of the API: {"code": …, "message": …}."""
    if not isinstance(failure, Mapping):
        failure = {}
    code = failure.get("code") or CODE_BY_STATUS.get(status or 0, "INTERNAL_ERROR")
    return BY_CODE.get(code, AgentAreaError)(
        code,
        failure.get("message") or f"The server responded with status {status}",
        status=status,
        details=failure.get("details"),
        request_id=failure.get("request_id") or request_id,
        retry_after=retry_after,
    )
