"""Server-sent events: a run's, which go on after a broken connection exactly
where they were, and others."""

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
    error_of,
)
from .transport import Transport, backoff

# The server sends something every 15 s; after this many seconds without, the
# connection is taken for dead.
SILENCE = 45.0


class Event(Dict[str, Any]):
    """An event: its "type" and what belongs to it.

    event_id: its number in the stream; None for an event without one.
    """

    event_id: Optional[int] = None


class EventStream:
    """Events as they come. Iterate over it once, in one thread, and close it
    (or use it in a with statement) when you leave before the end.

    The connection is made again when it breaks, for as long as a try within
    reconnect seconds succeeds. An event of type "error" is raised.
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
        """Leaves the stream. A run goes on without its watchers."""
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
                for event in events_of(self._response):
                    if event.get("type") == "error" and event.event_id is None:
                        # The connection's end, and not the run's.
                        raise error_of(event.get("error"))
                    if not self._take(event):
                        continue
                    if event.get("type") == "error":
                        raise _RunFailed(error_of(event.get("error")))
                    yield event
                    if event.get("type") == "end":
                        return
                if self._closed or self._ends_silently():
                    return
                broken: AgentAreaError = ConnectionFailed(
                    "CONNECTION_FAILED", "The stream was cut before its last event"
                )
            except _RunFailed as failed:
                raise failed.error from None
            except (ConnectionFailed, ServiceUnavailable, Unauthorized) as cut:
                if self._closed:
                    return
                broken = cut
            if not self._connect_again(broken):
                return

    def _take(self, event: Event) -> bool:
        """Notes where the stream is; False for an event that came already."""
        if event.event_id is not None:
            self.last_event_id = event.event_id
        return True

    def _ends_silently(self) -> bool:
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
            timeout=SILENCE,
            stream=True,
        )

    def _connect_again(self, broken: AgentAreaError) -> bool:
        """Connects again, or raises why that can't be; False when the stream has ended meanwhile."""
        self._response.close()
        if self._resume is None:
            raise broken
        if isinstance(broken, Unauthorized):
            self._transport.renew(self._token, broken)
        give_up = time.monotonic() + self._reconnect
        tries = 0
        while time.monotonic() < give_up:
            try:
                self._response = self._open("GET", self._resume)
                return True
            except (ConnectionFailed, ServiceUnavailable) as failed:
                broken = failed
            except NotFound:
                if self._ends_silently():
                    return False
                raise
            time.sleep(min(backoff(tries), max(0.0, give_up - time.monotonic())))
            tries += 1
        raise broken


class _RunFailed(Exception):
    """Keeps the failure of a run apart from that of the connection."""

    def __init__(self, error: AgentAreaError) -> None:
        super().__init__(str(error))
        self.error = error


class LogStream(EventStream):
    """An MCP server's log: it has no last event, and ends when the server is deleted."""

    def _ends_silently(self) -> bool:
        return True


class RunStream(EventStream):
    """A run's events: start, token, tool_call, tool_result, usage, restart, end.

    run_id, session_id: as the start told; None before it.
    text: the answer so far. After a restart it is without what the crash cut.
    end: the last event, once it has come.
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
        """Reads to the end, and gives the answer."""
        for _ in self:
            pass
        return self.text

    def _take(self, event: Event) -> bool:
        number = event.event_id or 0
        if self.last_event_id is not None and number <= self.last_event_id:
            return False
        self.last_event_id = number
        kind = event.get("type")
        if kind == "start":
            self.run_id, self.session_id = event["run_id"], event["session_id"]
            self._resume = self._resume or f"/v1/runs/{self.run_id}/events"
        elif kind == "token":
            self._tokens.append((number, event["content"]))
        elif kind == "restart":
            self._tokens = [
                one for one in self._tokens if one[0] <= event["drop_after"]
            ]
        elif kind == "end":
            self.end = event
        return True


def events_of(response: requests.Response) -> Iterator[Event]:
    """Reads the events of one connection, each as soon as it is whole."""
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
    # Chunks are taken as they come; without them, bytes, lest one waits for more.
    size = None if getattr(response.raw, "chunked", False) else 1
    rest = b""
    try:
        for piece in response.iter_content(chunk_size=size):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.rstrip(b"\r").decode("utf-8")
    except (requests.RequestException, AttributeError, OSError) as failed:
        # urllib3 has an AttributeError for a response that was closed meanwhile.
        raise ConnectionFailed(
            "CONNECTION_FAILED", f"The stream was cut: {failed}"
        ) from failed
