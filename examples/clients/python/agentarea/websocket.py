"""The WebSocket: what happens, live, and nothing missed after a break."""

from __future__ import annotations

import collections
import json
import time
from typing import Any, Deque, Dict, Iterator, Optional

from .errors import (
    AgentAreaError,
    ConnectionFailed,
    Forbidden,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
    error_of,
)
from .transport import Transport, backoff

# The server pings every 30 s; after this many seconds without, the connection
# is taken for dead.
SILENCE = 75.0


class AgentAreaWebSocket:
    """A signed-in connection. One thread uses it; close may be called by any.

    It is made again when it breaks, for as long as a try within reconnect
    seconds succeeds, and each subscription goes on after the last message that
    came: each comes once and in order.
    """

    def __init__(self, transport: Transport, reconnect: float = 60.0) -> None:
        try:
            import websocket
        except ImportError as missing:
            raise ImportError(
                "The WebSocket needs the package websocket-client: "
                "pip install websocket-client (Debian: python3-websocket)"
            ) from missing
        self._library = websocket
        self._transport = transport
        self._reconnect = reconnect
        self._seen: Dict[str, int] = {}
        self._waiting: Deque[Dict[str, Any]] = collections.deque()
        self._closed = False
        self._socket: Any = None
        self._connect_until_signed_in(None)

    def __enter__(self) -> "AgentAreaWebSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        """Gives messages until it is closed."""
        while True:
            message = self.receive()
            if message is None:
                return
            yield message

    def close(self) -> None:
        self._closed = True
        if self._socket is not None:
            self._socket.close(timeout=1)

    def subscribe(self, channel: str, after: Optional[int] = None) -> int:
        """Subscribes to agent.{id}.events, task.{id}.events, tasks or system.

        With after, what came after that seq is told first. Gives the seq from
        which on messages are told.
        """
        frame: Dict[str, Any] = {"type": "subscribe", "channel": channel}
        if after is not None:
            frame["after"] = after
        answer = self._ask(frame, "subscribed", channel)
        self._seen[channel] = int(answer["seq"])
        return self._seen[channel]

    def unsubscribe(self, channel: str) -> None:
        """Ends a subscription. What has come of it is told still."""
        self._ask({"type": "unsubscribe", "channel": channel}, "unsubscribed", channel)
        self._seen.pop(channel, None)

    def receive(self, timeout: Optional[float] = None) -> Optional[Dict[str, Any]]:
        """Gives the next message; None after timeout seconds without one, or once it is closed."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._waiting:
            if self._closed:
                return None
            try:
                frame = self._read(until)
            except (ConnectionFailed, ServiceUnavailable, Unauthorized) as broken:
                if not self._closed:
                    self._connect_until_signed_in(broken)
                continue
            if frame is None:
                return None
            if frame.get("type") == "error":
                error = error_of(frame.get("error"))
                if not isinstance(error, Unauthorized):
                    raise error
                self._connect_until_signed_in(error)
                continue
            self._keep(frame)
        return self._waiting.popleft()

    def _ask(self, frame: Dict[str, Any], want: str, channel: str) -> Dict[str, Any]:
        """Says something, and gives the answer. Messages that come before it wait."""
        while True:
            try:
                return self._ask_once(frame, want, channel)
            except ConnectionFailed as broken:
                if self._closed:
                    raise
                self._connect_until_signed_in(broken)

    def _ask_once(
        self, frame: Dict[str, Any], want: str, channel: Optional[str] = None
    ) -> Dict[str, Any]:
        self._say(frame)
        until = time.monotonic() + self._transport.timeout
        while True:
            answer = self._read(until)
            if answer is None:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"No answer to {frame['type']}"
                )
            if answer.get("type") == "error":
                raise error_of(answer.get("error"))
            if answer.get("type") == want and answer.get("channel") == channel:
                return answer
            self._keep(answer)

    def _keep(self, frame: Dict[str, Any]) -> None:
        channel, seq = frame.get("channel"), frame.get("seq")
        if frame.get("type") == "subscribed" or channel not in self._seen:
            return
        if seq > self._seen[channel]:
            self._seen[channel] = seq
            self._waiting.append(frame)

    def _connect_until_signed_in(self, broken: Optional[AgentAreaError]) -> None:
        give_up = time.monotonic() + self._reconnect
        tries = 0
        renewed = False
        while True:
            if isinstance(broken, Unauthorized):
                if renewed:
                    raise broken
                renewed = True
                self._transport.renew(self._token, broken)
            elif broken is not None:
                if (
                    self._closed
                    or tries > 0
                    and time.monotonic() > give_up
                    or self._reconnect <= 0
                ):
                    raise broken
                if tries > 0:
                    time.sleep(backoff(tries - 1))
                tries += 1
            try:
                gone = self._connect()
                break
            except (ConnectionFailed, ServiceUnavailable, Unauthorized) as failed:
                if broken is None and not isinstance(failed, Unauthorized):
                    raise  # the first connection is made or refused at once
                broken = failed
        if self._closed:
            self.close()  # which came while it was being made
        if gone is not None:
            raise gone

    def _connect(self) -> Optional[AgentAreaError]:
        """Makes a connection, signs in and subscribes. A channel that is not there any
        more is given up, and why is given."""
        if self._socket is not None:
            self._socket.close(timeout=0)
        url = "ws" + self._transport.base_url[len("http") :] + "/v1/ws"
        try:
            # An Origin is a browser's; behind a proxy a made-up one may be refused.
            self._socket = self._library.create_connection(
                url, timeout=self._transport.timeout, suppress_origin=True
            )
        except (self._library.WebSocketException, OSError) as failed:
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"WebSocket {url}: {failed}"
            ) from failed
        self._token = self._transport.token
        self._ask_once({"type": "auth", "token": self._token or ""}, "auth.ok")
        gone = None
        for channel, seen in list(self._seen.items()):
            try:
                self._ask_once(
                    {"type": "subscribe", "channel": channel, "after": seen},
                    "subscribed",
                    channel,
                )
            except (Forbidden, NotFound) as error:
                del self._seen[channel]
                gone = error
        return gone

    def _say(self, frame: Dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps(frame))
        except (self._library.WebSocketException, OSError) as failed:
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"The WebSocket was cut: {failed}"
            ) from failed

    def _read(self, until: Optional[float]) -> Optional[Dict[str, Any]]:
        """Reads a frame; None when there is none until then."""
        codes = self._library.ABNF
        while True:
            left = (
                SILENCE
                if until is None
                else max(0.001, min(SILENCE, until - time.monotonic()))
            )
            try:
                self._socket.settimeout(left)
                code, data = self._socket.recv_data(control_frame=True)
            except self._library.WebSocketTimeoutException as silent:
                if until is not None and time.monotonic() >= until:
                    return None
                raise ConnectionFailed(
                    "CONNECTION_FAILED", "The WebSocket is silent"
                ) from silent
            except (self._library.WebSocketException, OSError) as failed:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"The WebSocket was cut: {failed}"
                ) from failed
            if code == codes.OPCODE_TEXT:
                return json.loads(data)
            if code == codes.OPCODE_CLOSE:
                raise _closed(data)


def _closed(data: bytes) -> AgentAreaError:
    """Why the server has closed the connection."""
    code, reason = int.from_bytes(data[:2], "big"), data[2:].decode("utf-8", "replace")
    if code == 1008:  # the login's end; too many mistakes it can't be
        return Unauthorized(
            "UNAUTHORIZED", f"The server has closed the WebSocket: {reason}"
        )
    return ConnectionFailed(
        "CONNECTION_FAILED", f"The server has closed the WebSocket: {code} {reason}"
    )
