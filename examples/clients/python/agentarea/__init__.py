"""A client of the AgentArea API, based on requests.

    from agentarea import AgentAreaClient

    client = AgentAreaClient("http://localhost:8000", "your-token")
    agent = client.create_agent("test-agent", "chat", {"model": "gpt-4"})
"""

from .client import AgentAreaClient
from .errors import (
    AgentAreaError,
    ChecksumMismatch,
    Conflict,
    ConnectionFailed,
    Forbidden,
    InsufficientStorage,
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    RateLimited,
    ServiceUnavailable,
    TimedOut,
    Unauthorized,
    UnsupportedMediaType,
    UpstreamError,
    UpstreamTimeout,
    ValidationError,
)
from .stream import Event, EventStream, RunStream
from .transport import Reply
from .websocket import AgentAreaWebSocket

__all__ = [
    "AgentAreaClient",
    "AgentAreaError",
    "AgentAreaWebSocket",
    "ChecksumMismatch",
    "Conflict",
    "ConnectionFailed",
    "Event",
    "EventStream",
    "Forbidden",
    "InsufficientStorage",
    "InternalError",
    "MethodNotAllowed",
    "NotFound",
    "PayloadTooLarge",
    "PreconditionFailed",
    "RateLimited",
    "Reply",
    "RunStream",
    "ServiceUnavailable",
    "TimedOut",
    "Unauthorized",
    "UnsupportedMediaType",
    "UpstreamError",
    "UpstreamTimeout",
    "ValidationError",
]
