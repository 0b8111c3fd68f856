"""Server-sent events. The stream of a run is resumed after a connection error without
losing or repeating events."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

import requests

from .errors import (
    AgentAreaError,
    ConnectionFailed,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
    make_error,
)
from .transport import Transport, backoff

# The server sends data at least every 15 s. The connection is considered lost after
# this many seconds without data.
IDLE_TIMEOUT = 45.0


class Event(Dict[str, Any]):
    """An event: its "type" and its other fields.

    event_id: the event's id in the stream; None for an event without an id.
    """

    event_id: Optional[int] = None


class EventStream:
    """A stream of events. Iterate over it once, in one thread. Close it, or use it in
    a with statement, if you stop before its end.

    A lost connection is restored, unless that fails for reconnect seconds. An event
    of type "error" is raised as an exception.
    """

    def __init__(
        self,
        transport: Transport,
        method: str,
        path: str,
        *,
        params: Optional[Dict[str, Any]] = None,
        body: Any = None,
        after: Optional[int] = None,
        resume: Optional[str] = None,
        reconnect: float = 60.0,
    ) -> None:
        self.last_event_id = after
        self._transport = transport
        self._resume = resume
        self._params = params
        self._reconnect = reconnect
        self._token: Optional[str] = None
        self._closed = False
        self._response = self._open(method, path, body)

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the stream. This does not cancel the run."""
        self._closed = True
        self._response.close()

    def __iter__(self) -> Iterator[Event]:
        try:
            yield from self._events()
        finally:
            self.close()

    def _events(self) -> Iterator[Event]:
        while True:
            try:
                for event in parse_events(self._response):
                    if event.get("type") == "error" and event.event_id is None:
                        # An error without an id ends the connection, not the run.
                        raise make_error(event.get("error"))
                    if not self._accept(event):
                        continue
                    if event.get("type") == "error":
                        raise _RunFailed(make_error(event.get("error")))
                    yield event
                    if event.get("type") == "end":
                        return
                if self._closed or self._ends_without_end_event():
                    return
                error: AgentAreaError = ConnectionFailed(
                    "CONNECTION_FAILED", "The stream ended before its last event"
                )
            except _RunFailed as failed:
                raise failed.error from None
            except (ConnectionFailed, ServiceUnavailable, Unauthorized) as failed:
                if self._closed:
                    return
                error = failed
            if not self._reconnect_stream(error):
                return

    def _accept(self, event: Event) -> bool:
        """Records the position in the stream. Returns False for an event that was received before."""
        if event.event_id is not None:
            self.last_event_id = event.event_id
        return True

    def _ends_without_end_event(self) -> bool:
        return False

    def _open(self, method: str, path: str, body: Any = None) -> requests.Response:
        after = None if self.last_event_id is None else str(self.last_event_id)
        self._token = self._transport.token
        return self._transport.send(
            method,
            path,
            params=self._params,
            json=body,
            headers={"Accept": "text/event-stream", "Last-Event-ID": after},
            timeout=IDLE_TIMEOUT,
            stream=True,
        )

    def _reconnect_stream(self, error: AgentAreaError) -> bool:
        """Reconnects or raises an error. Returns False if the stream has ended in the meantime."""
        self._response.close()
        if self._resume is None:
            raise error
        if isinstance(error, Unauthorized):
            self._transport.renew(self._token, error)
        deadline = time.monotonic() + self._reconnect
        attempts = 0
        while time.monotonic() < deadline:
            try:
                self._response = self._open("GET", self._resume)
                return True
            except (ConnectionFailed, ServiceUnavailable) as failed:
                error = failed
            except NotFound:
                if self._ends_without_end_event():
                    return False
                raise
            time.sleep(min(backoff(attempts), max(0.0, deadline - time.monotonic())))
            attempts += 1
        raise error


class _RunFailed(Exception):
    """Distinguishes an error of the run from an error of the connection."""

    def __init__(self, error: AgentAreaError) -> None:
        super().__init__(str(error))
        self.error = error


class LogStream(EventStream):
    """The log of an MCP server. It has no end event and ends when the server is deleted."""

    def _ends_without_end_event(self) -> bool:
        return True


class RunStream(EventStream):
    """The events of a run: start, token, tool_call, tool_result, usage, restart, end.

    run_id, session_id: from the start event; None before it.
    text: the answer so far. After a restart event it omits the dropped tokens.
    end: the end event, or None before it.
    """

    def __init__(
        self, transport: Transport, method: str, path: str, **options: Any
    ) -> None:
        self.run_id: Optional[str] = None
        self.session_id: Optional[str] = None
        self.end: Optional[Event] = None
        self._tokens: List[Tuple[int, str]] = []
        super().__init__(transport, method, path, **options)

    @property
    def text(self) -> str:
        return "".join(content for _, content in self._tokens)

    def wait(self) -> str:
        """Reads the stream to its end and returns the answer."""
        for _ in self:
            pass
        return self.text

    def _accept(self, event: Event) -> bool:
        number = event.event_id or 0
        if self.last_event_id is not None and number <= self.last_event_id:
            return False
        self.last_event_id = number
        event_type = event.get("type")
        if event_type == "start":
            self.run_id, self.session_id = event["run_id"], event["session_id"]
            self._resume = self._resume or f"/v1/runs/{self.run_id}/events"
        elif event_type == "token":
            self._tokens.append((number, event["content"]))
        elif event_type == "restart":
            self._tokens = [
                token for token in self._tokens if token[0] <= event["drop_after"]
            ]
        elif event_type == "end":
            self.end = event
        return True


def parse_events(response: requests.Response) -> Iterator[Event]:
    """Yields the events of one connection, each as soon as it is complete."""
    number: Optional[int] = None
    data: List[str] = []
    for line in _lines(response):
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line == "":
            if data:
                event = Event(json.loads("\n".join(data)))
                event.event_id = number
                yield event
            number, data = None, []
        elif name == "id" and value.isdigit():
            number = int(value)
        elif name == "data":
            data.append(value)


def _lines(response: requests.Response) -> Iterator[str]:
    # Without chunked encoding, read byte by byte so as not to wait for more data.
    size = None if getattr(response.raw, "chunked", False) else 1
    rest = b""
    try:
        for chunk in response.iter_content(chunk_size=size):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.rstrip(b"\r").decode("utf-8")
    except (requests.RequestException, AttributeError, OSError) as failed:
        # urllib3 raises an AttributeError if the response is closed during the read.
        raise ConnectionFailed(
            "CONNECTION_FAILED", f"The stream was interrupted: {failed}"
        ) from failed
