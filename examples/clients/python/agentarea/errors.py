"""What can go wrong. Every error of the client is an AgentAreaError."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class AgentAreaError(Exception):
    """An error of the API, or on the way to it.

    code: the kind of the error, such as "VALIDATION_ERROR".
    status: the HTTP status; None when no reply came, and for errors in a stream.
    message: what is wrong, for people.
    details: what more the server says, such as all that is wrong in "errors".
    field: the field or parameter that is wrong, if it is one.
    request_id: names the request in the server's log.
    retry_after: seconds until another try makes sense, if the server says so.
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
        if self.field:
            text += f" ({self.field}: {self.details.get('issue')})"
        if self.request_id:
            text += f" [{self.request_id}]"
        return text


class ValidationError(AgentAreaError):
    """400: field and details["issue"] say what to change."""


class Unauthorized(AgentAreaError):
    """401: the token is none, or not one any more: sign in again."""


class Forbidden(AgentAreaError):
    """403: you may not do this."""


class NotFound(AgentAreaError):
    """404: it is not there, or not for you."""


class MethodNotAllowed(AgentAreaError):
    """405."""


class Conflict(AgentAreaError):
    """409: it is there already, or busy."""


class PreconditionFailed(AgentAreaError):
    """412: it has changed since you read it."""


class PayloadTooLarge(AgentAreaError):
    """413."""


class UnsupportedMediaType(AgentAreaError):
    """415."""


class RateLimited(AgentAreaError):
    """429: retry_after says when to try again."""


class InternalError(AgentAreaError):
    """500: request_id names it in the server's log."""


class UpstreamError(AgentAreaError):
    """502: a model's or tool's server failed."""


class ServiceUnavailable(AgentAreaError):
    """503: try again in a moment."""


class UpstreamTimeout(AgentAreaError):
    """504: a model's or tool's server took too long."""


class InsufficientStorage(AgentAreaError):
    """507: the file backend has no room."""


class ConnectionFailed(AgentAreaError):
    """No reply came, or not all of it. Whether the request was carried out is unknown."""


class TimedOut(ConnectionFailed):
    """No reply came in time."""


class ChecksumMismatch(AgentAreaError):
    """The bytes that arrived are not those that were sent."""


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

# For replies that are not the API's own, as those of a proxy in between.
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


def error_of(
    failure: Any,
    status: Optional[int] = None,
    request_id: Optional[str] = None,
    retry_after: Optional[float] = None,
) -> AgentAreaError:
    """Makes the error that the API's {"code": …, "message": …} tells of."""
    if not isinstance(failure, Mapping):
        failure = {}
    code = failure.get("code") or CODE_BY_STATUS.get(status or 0, "INTERNAL_ERROR")
    return BY_CODE.get(code, AgentAreaError)(
        code,
        failure.get("message") or f"The server answered with status {status}",
        status=status,
        details=failure.get("details"),
        request_id=failure.get("request_id") or request_id,
        retry_after=retry_after,
    )
