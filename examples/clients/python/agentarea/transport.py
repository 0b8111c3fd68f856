"""Requests: tokens, time limits, retries, errors. The client has a method for
each operation on top of it."""

from __future__ import annotations

import datetime
import email.utils
import random
import threading
import time
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

import requests

from .errors import AgentAreaError, ConnectionFailed, TimedOut, Unauthorized, error_of

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")

# How long a pause between two tries may be, in seconds; who is told to wait
# for longer gets the error at once.
LONGEST_PAUSE = 60.0


class Reply(Dict[str, Any]):
    """A JSON object that the server answered with.

    etag: its version, for if_match; None for what has none.
    request_id: names the request in the server's log.
    """

    etag: Optional[str] = None
    request_id: Optional[str] = None


class Bearer(requests.auth.AuthBase):
    """Sends the token. Without an auth of its own, requests would look into ~/.netrc."""

    def __init__(self, token: Optional[str]) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Transport:
    """What all requests of a client share. Any number of threads may use it."""

    def __init__(
        self,
        base_url: str,
        token: Optional[str],
        refresh_token: Optional[str],
        timeout: float,
        retries: int,
        on_tokens: Optional[Callable[[Reply], None]],
        session: Optional[requests.Session],
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self.refresh_token = refresh_token
        self.timeout = timeout
        self.retries = retries
        self.on_tokens = on_tokens
        self.rate_limit: Dict[str, int] = {}
        self._session = session or requests.Session()
        self._refreshing = threading.Lock()

    def close(self) -> None:
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, Optional[str]]] = None,
        timeout: Optional[float] = None,
        idempotent: Optional[bool] = None,
        authenticated: bool = True,
    ) -> Reply:
        """Sends a request and gives the JSON object of its reply, empty for one without a body."""
        response = self.send(
            method,
            path,
            params=params,
            json=json,
            headers=headers,
            timeout=timeout,
            idempotent=idempotent,
            authenticated=authenticated,
        )
        return reply_of(response)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        body: Optional[Callable[[], Iterable[bytes]]] = None,
        headers: Optional[Mapping[str, Optional[str]]] = None,
        timeout: Optional[float] = None,
        stream: bool = False,
        idempotent: Optional[bool] = None,
        authenticated: bool = True,
        repeatable: bool = True,
    ) -> requests.Response:
        """Sends a request until it succeeds or a further try makes no sense.

        A 429 is tried again whatever the request: nothing was done. A 503 and a
        broken connection are only where doing it twice is doing it once. body
        makes the body anew for each try; repeatable is False for one that can't.
        """
        if idempotent is None:
            idempotent = method in IDEMPOTENT
        params = {
            name: text_of(value)
            for name, value in (params or {}).items()
            if value is not None
        }
        headers = {
            name: value for name, value in (headers or {}).items() if value is not None
        }
        refreshed = False
        tries = 0
        lost = False
        while True:
            token = self.token if authenticated else None
            try:
                response = self._once(
                    method, path, params, json, body, headers, timeout, stream, token
                )
                if response.status_code < 400:
                    return response
                error = _failure(response)
            except ConnectionFailed as failed:
                error = failed
            if (
                error.status == 401
                and token
                and self.refresh_token
                and not refreshed
                and repeatable
            ):
                refreshed = True
                self.refresh(token)
                continue
            if method == "DELETE" and error.status == 404 and lost:
                # An earlier try has done it, and its reply was lost.
                return response
            may = (
                error.status == 429
                or idempotent
                and (error.status == 503 or error.status is None)
            )
            pause = (
                error.retry_after if error.retry_after is not None else backoff(tries)
            )
            if (
                not may
                or not repeatable
                or tries >= self.retries
                or pause > LONGEST_PAUSE
            ):
                raise error
            lost = lost or error.status is None
            tries += 1
            time.sleep(pause)

    def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        json: Any,
        body: Optional[Callable[[], Iterable[bytes]]],
        headers: Mapping[str, Optional[str]],
        timeout: Optional[float],
        stream: bool,
        token: Optional[str],
    ) -> requests.Response:
        limit = self.timeout if timeout is None else timeout
        try:
            response = self._session.request(
                method,
                self.base_url + path,
                params=params,
                json=json,
                data=body() if body else None,
                headers=dict(headers),
                auth=Bearer(token),
                timeout=(min(limit, self.timeout), limit),
                stream=stream,
            )
        except requests.Timeout as failed:
            raise TimedOut(
                "TIMEOUT", f"{method} {path}: no reply within {limit:g} s"
            ) from failed
        except requests.RequestException as failed:
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"{method} {path}: {failed}"
            ) from failed
        announced = response.headers.get("Content-Length", "")
        if not stream and announced.isdigit() and response.raw.tell() < int(announced):
            # Which requests before 2.32 takes for the end.
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"{method} {path}: the reply is cut"
            )
        self._note_rate_limit(response)
        return response

    def _note_rate_limit(self, response: requests.Response) -> None:
        found = {}
        for name in ("limit", "remaining", "reset"):
            value = response.headers.get(f"X-RateLimit-{name}", "")
            if value.isdigit():
                found[name] = int(value)
        if found:
            self.rate_limit = found

    def refresh(self, stale: Optional[str] = None) -> Optional[Reply]:
        """Gets new tokens: by the refresh token, or by a live access token.

        Of all threads that found the same token stale one refreshes, and the
        others go on with what it got.
        """
        with self._refreshing:
            if stale is not None and self.token != stale:
                return None
            if self.refresh_token:
                try:
                    tokens = self.call(
                        "POST",
                        "/v1/auth/refresh",
                        json={"refresh_token": self.refresh_token},
                        idempotent=True,  # the server gives a lost reply once more, for some seconds
                        authenticated=False,
                    )
                except Unauthorized:
                    self.refresh_token = None
                    raise
            else:
                tokens = self.call("POST", "/v1/auth/refresh")
            self.take(tokens)
            return tokens

    def take(self, tokens: Reply) -> None:
        """Goes on with these tokens."""
        self.token = tokens["access_token"]
        self.refresh_token = tokens.get("refresh_token")
        if self.on_tokens:
            self.on_tokens(tokens)

    def renew(self, stale: Optional[str], error: Unauthorized) -> None:
        """Replaces a token that was refused, or raises the error."""
        if not self.refresh_token:
            raise error
        self.refresh(stale)


def reply_of(response: requests.Response) -> Reply:
    try:
        body = (
            response.json() if response.content and response.status_code < 400 else {}
        )
    except ValueError as failed:
        raise AgentAreaError(
            "INVALID_RESPONSE",
            f"The reply of {response.url} is no JSON: is this AgentArea's address?",
            status=response.status_code,
        ) from failed
    reply = Reply(body)
    reply.etag = response.headers.get("ETag")
    reply.request_id = response.headers.get("X-Request-ID")
    return reply


def backoff(tries: int) -> float:
    """The pause before another try, in seconds: half a second, doubling up to five, give or take."""
    return min(5.0, 0.5 * 2**tries) * random.uniform(0.75, 1.25)


def text_of(value: Any) -> str:
    """A value as the API takes it in queries; a time needs a time zone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError(
                "a time must have a time zone, such as datetime.now(timezone.utc)"
            )
        return value.isoformat()
    return str(value)


def _failure(response: requests.Response) -> AgentAreaError:
    try:
        body = response.json()
    except (ValueError, requests.RequestException):
        body = None
    finally:
        response.close()
    return error_of(
        body.get("error") if isinstance(body, dict) else None,
        response.status_code,
        response.headers.get("X-Request-ID"),
        _seconds(response.headers.get("Retry-After")),
    )


def _seconds(header: Optional[str]) -> Optional[float]:
    """Reads a Retry-After: seconds, or a date."""
    if not header:
        return None
    if header.isdigit():
        return float(header)
    try:
        at = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, at.timestamp() - time.time())
