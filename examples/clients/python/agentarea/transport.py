"""Sends requests, with tokens, timeouts, retries and error handling. The client uses it
for all operations."""

from __future__ import annotations

import datetime
import email.utils
import random
import threading
import time
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

import requests

from .errors import AgentAreaError, ConnectionFailed, TimedOut, Unauthorized, make_error

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")

# The longest delay before a retry, in seconds. If the server requests a longer one, the
# error is raised immediately.
MAX_DELAY = 60.0


class Reply(Dict[str, Any]):
    """A JSON object from a response.

    etag: the object's version for if_match; None if it has none.
    request_id: the request's id in the server's log.
    """

    etag: Optional[str] = None
    request_id: Optional[str] = None


class Bearer(requests.auth.AuthBase):
    """Sends the token. Without an auth object, requests would read ~/.netrc."""

    def __init__(self, token: Optional[str]) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Transport:
    """The state that all requests of a client share. It is thread-safe."""

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
        """Sends a request and returns the JSON object of its response, or an empty one."""
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
        return parse_reply(response)

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
        """Sends a request, with retries, and returns the successful response.

        A 429 is always retried, because the server has not processed the request. A 503
        and a connection error are only retried for idempotent requests. body creates the
        body for each attempt; repeatable is False if it can only be created once.
        """
        if idempotent is None:
            idempotent = method in IDEMPOTENT
        params = {
            name: to_text(value)
            for name, value in (params or {}).items()
            if value is not None
        }
        headers = {
            name: value for name, value in (headers or {}).items() if value is not None
        }
        refreshed = False
        attempts = 0
        response_lost = False
        while True:
            token = self.token if authenticated else None
            try:
                response = self._send_once(
                    method, path, params, json, body, headers, timeout, stream, token
                )
                if response.status_code < 400:
                    return response
                error = _error_from(response)
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
            if method == "DELETE" and error.status == 404 and response_lost:
                # An earlier attempt has deleted it, and its response was lost.
                return response
            retryable = (
                error.status == 429
                or idempotent
                and (error.status == 503 or error.status is None)
            )
            delay = (
                error.retry_after if error.retry_after is not None else backoff(attempts)
            )
            if (
                not retryable
                or not repeatable
                or attempts >= self.retries
                or delay > MAX_DELAY
            ):
                raise error
            response_lost = response_lost or error.status is None
            attempts += 1
            time.sleep(delay)

    def _send_once(
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
                "TIMEOUT", f"{method} {path}: no response within {limit:g} s"
            ) from failed
        except requests.RequestException as failed:
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"{method} {path}: {failed}"
            ) from failed
        content_length = response.headers.get("Content-Length", "")
        if not stream and content_length.isdigit() and response.raw.tell() < int(content_length):
            # requests before 2.32 does not report this as an error.
            raise ConnectionFailed(
                "CONNECTION_FAILED", f"{method} {path}: the response is incomplete"
            )
        self._store_rate_limit(response)
        return response

    def _store_rate_limit(self, response: requests.Response) -> None:
        found = {}
        for name in ("limit", "remaining", "reset"):
            value = response.headers.get(f"X-RateLimit-{name}", "")
            if value.isdigit():
                found[name] = int(value)
        if found:
            self.rate_limit = found

    def refresh(self, stale: Optional[str] = None) -> Optional[Reply]:
        """Gets new tokens with the refresh token, or with a valid access token.

        If several threads find the same token expired, one of them refreshes it and all
        use the new tokens.
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
                        idempotent=True,  # for some seconds the server repeats a lost response
                        authenticated=False,
                    )
                except Unauthorized:
                    self.refresh_token = None
                    raise
            else:
                tokens = self.call("POST", "/v1/auth/refresh")
            self.set_tokens(tokens)
            return tokens

    def set_tokens(self, tokens: Reply) -> None:
        """Uses these tokens from now on."""
        self.token = tokens["access_token"]
        self.refresh_token = tokens.get("refresh_token")
        if self.on_tokens:
            self.on_tokens(tokens)

    def renew(self, stale: Optional[str], error: Unauthorized) -> None:
        """Replaces a rejected token, or raises the error."""
        if not self.refresh_token:
            raise error
        self.refresh(stale)


def parse_reply(response: requests.Response) -> Reply:
    try:
        body = (
            response.json() if response.content and response.status_code < 400 else {}
        )
    except ValueError as failed:
        raise AgentAreaError(
            "INVALID_RESPONSE",
            f"The response of {response.url} is not JSON. Check that the URL is that of an AgentArea server.",
            status=response.status_code,
        ) from failed
    reply = Reply(body)
    reply.etag = response.headers.get("ETag")
    reply.request_id = response.headers.get("X-Request-ID")
    return reply


def backoff(attempts: int) -> float:
    """Returns the delay before a retry in seconds: 0.5, doubling up to 5, plus or minus 25 %."""
    return min(5.0, 0.5 * 2**attempts) * random.uniform(0.75, 1.25)


def to_text(value: Any) -> str:
    """Returns the text of a value for a query. A datetime must have a time zone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError(
                "a time must have a time zone, such as datetime.now(timezone.utc)"
            )
        return value.isoformat()
    return str(value)


def _error_from(response: requests.Response) -> AgentAreaError:
    try:
        body = response.json()
    except (ValueError, requests.RequestException):
        body = None
    finally:
        response.close()
    return make_error(
        body.get("error") if isinstance(body, dict) else None,
        response.status_code,
        response.headers.get("X-Request-ID"),
        _parse_retry_after(response.headers.get("Retry-After")),
    )


def _parse_retry_after(header: Optional[str]) -> Optional[float]:
    """Parses a Retry-After header: seconds or a date."""
    if not header:
        return None
    if header.isdigit():
        return float(header)
    try:
        date = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, date.timestamp() - time.time())
