"""The WebSocket: live events, without losing any after a reconnect."""

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
    make_error,
)
from .transport import Transport, backoff

# The server pings every 30 s. The connection is considered lost after this many seconds
# without a frame.
IDLE_TIMEOUT = 75.0


class AgentAreaWebSocket:
    """An authenticated connection. Only one thread may use it, but any may call close.

    A lost connection is restored, unless that fails for reconnect seconds. Each
    subscription continues after its last message, so that messages arrive once and in
    order.
    """

    def __init__(self, transport: Transport, reconnect: float = 60.0) -> None:
        try:
            import websocket
        except ImportError as missing:
            raise ImportError(
                "The WebSocket needs the package websocket-client: "
                "pip install websocket-client (Debian: python3-websocket)"
            ) from missing
        self._websocket = websocket
        self._transport = transport
        self._reconnect = reconnect
        self._last_seq: Dict[str, int] = {}
        self._queue: Deque[Dict[str, Any]] = collections.deque()
        self._closed = False
        self._socket: Any = None
        self._connect_until_signed_in(None)

    def __enter__(self) -> "AgentAreaWebSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        """Yields messages until the connection is closed."""
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

        With after, it first delivers earlier messages with a higher seq. Returns the seq
        after which messages are delivered.
        """
        frame: Dict[str, Any] = {"type": "subscribe", "channel": channel}
        if after is not None:
            frame["after"] = after
        reply = self._request(frame, "subscribed", channel)
        self._last_seq[channel] = int(reply["seq"])
        return self._last_seq[channel]

    def unsubscribe(self, channel: str) -> None:
        """Ends a subscription. Messages that were already received are still delivered."""
        self._request({"type": "unsubscribe", "channel": channel}, "unsubscribed", channel)
        self._last_seq.pop(channel, None)

    def receive(self, timeout: Optional[float] = None) -> Optional[Dict[str, Any]]:
        """Returns the next message; None after the timeout, or if the connection is closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._queue:
            if self._closed:
                return None
            try:
                frame = self._receive_frame(deadline)
            except (ConnectionFailed, ServiceUnavailable, Unauthorized) as error:
                if not self._closed:
                    self._connect_until_signed_in(error)
                continue
            if frame is None:
                return None
            if frame.get("type") == "error":
                error = make_error(frame.get("error"))
                if not isinstance(error, Unauthorized):
                    raise error
                self._connect_until_signed_in(error)
                continue
            self._enqueue(frame)
        return self._queue.popleft()

    def _request(self, frame: Dict[str, Any], reply_type: str, channel: str) -> Dict[str, Any]:
        """Sends a frame and returns the reply. Messages that arrive before it are queued."""
        while True:
            try:
                return self._request_once(frame, reply_type, channel)
            except ConnectionFailed as error:
                if self._closed:
                    raise
                self._connect_until_signed_in(error)

    def _request_once(
        self, frame: Dict[str, Any], reply_type: str, channel: Optional[str] = None
    ) -> Dict[str, Any]:
        self._send(frame)
        deadline = time.monotonic() + self._transport.timeout
        while True:
            reply = self._receive_frame(deadline)
            if reply is None:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"The server did not reply to {frame['type']}"
                )
            if reply.get("type") == "error":
                raise make_error(reply.get("error"))
            if reply.get("type") == reply_type and reply.get("channel") == channel:
                return reply
            self._enqueue(reply)

    def _enqueue(self, frame: Dict[str, Any]) -> None:
        channel, seq = frame.get("channel"), frame.get("seq")
        if frame.get("type") == "subscribed" or channel not in self._last_seq:
            return
        if seq > self._last_seq[channel]:
            self._last_seq[channel] = seq
            self._queue.append(frame)

    def _connect_until_signed_in(self, error: Optional[AgentAreaError]) -> None:
        deadline = time.monotonic() + self._reconnect
        attempts = 0
        renewed = False
        while True:
            if isinstance(error, Unauthorized):
                if renewed:
                    raise error
                renewed = True
                self._transport.renew(self._token, error)
            elif error is not None:
                if (
                    self._closed
                    or attempts > 0
                    and time.monotonic() > deadline
                    or self._reconnect <= 0
                ):
                    raise error
                if attempts > 0:
                    time.sleep(backoff(attempts - 1))
                attempts += 1
            try:
                channel_error = self._connect()
                break
            except (ConnectionFailed, ServiceUnavailable, Unauthorized) as failed:
                if error is None and not isinstance(failed, Unauthorized):
                    raise  # the first connection is not retried
                error = failed
        if self._closed:
            self.close()  # close was called while connecting
        if channel_error is not None:
            raise channel_error

    def _connect(self) -> Optional[AgentAreaError]:
        """Connects, authenticates and subscribes. Removes a channel that no longer exists,
        and returns the error for it."""
        if self._socket is not None:
            self._socket.close(timeout=0)
        url = "ws" + self._transport.base_url[len("http") :] + "/v1/ws"
        try:
            # Only browsers send an Origin, and a proxy may reject an invented one.
            self._socket = self._websocket.create_connection(
                url, timeout=self._transport.timeout, suppress_origin=True
            )
        except (self._websocket.WebSocketException, OSError) as failed:
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"WebSocket {url}: {failed}"
            ) from failed
        self._token = self._transport.token
        self._request_once({"type": "auth", "token": self._token or ""}, "auth.ok")
        channel_error = None
        for channel, last_seq in list(self._last_seq.items()):
            try:
                self._request_once(
                    {"type": "subscribe", "channel": channel, "after": last_seq},
                    "subscribed",
                    channel,
                )
            except (Forbidden, NotFound) as error:
                del self._last_seq[channel]
                channel_error = error
        return channel_error

    def _send(self, frame: Dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps(frame))
        except (self._websocket.WebSocketException, OSError) as failed:
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"The WebSocket connection was lost: {failed}"
            ) from failed

    def _receive_frame(self, deadline: Optional[float]) -> Optional[Dict[str, Any]]:
        """Returns the next frame; None if none arrives before the deadline."""
        codes = self._websocket.ABNF
        while True:
            remaining = (
                IDLE_TIMEOUT
                if deadline is None
                else max(0.001, min(IDLE_TIMEOUT, deadline - time.monotonic()))
            )
            try:
                self._socket.settimeout(remaining)
                code, data = self._socket.recv_data(control_frame=True)
            except self._websocket.WebSocketTimeoutException as timeout_error:
                if deadline is not None and time.monotonic() >= deadline:
                    return None
                raise ConnectionFailed(
                    "CONNECTION_FAILED", "The WebSocket received no data in time"
                ) from timeout_error
            except (self._websocket.WebSocketException, OSError) as failed:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"The WebSocket connection was lost: {failed}"
                ) from failed
            if code == codes.OPCODE_TEXT:
                return json.loads(data)
            if code == codes.OPCODE_CLOSE:
                raise _closed(data)


def _closed(data: bytes) -> AgentAreaError:
    """Returns the error for a close frame of the server."""
    code, reason = int.from_bytes(data[:2], "big"), data[2:].decode("utf-8", "replace")
    if code == 1008:  # the login has ended
        return Unauthorized(
            "UNAUTHORIZED", f"The server closed the WebSocket: {reason}"
        )
    return ConnectionFailed(
        "CONNECTION_FAILED", f"The server closed the WebSocket: {code} {reason}"
    )
