"""The client: a method for each operation of the API, by the operation's name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence
from urllib.parse import quote

import requests

from .errors import AgentAreaError, ChecksumMismatch, ConnectionFailed
from .files import PIECE, Form, Source, Target, opened
from .stream import EventStream, LogStream, RunStream
from .transport import Reply, Transport, reply_of, text_of
from .websocket import AgentAreaWebSocket

JSON = Dict[str, Any]

# How long an answer that is not streamed may take, in seconds.
CHAT_TIMEOUT = 600.0

# How many a page the iterators ask for: the most there are.
PAGE = 100


class AgentAreaClient:
    """Speaks to an AgentArea server on behalf of one user.

    base_url: where the server is, such as "http://localhost:8000".
    token: an access token, or an API key; login() gets one by a password.
    refresh_token: gets a new access token when the old one is refused.
    timeout: how many seconds the server may take to answer, or between two pieces of a reply.
    retries: how often a request is sent again, at most: after a 429 (as its Retry-After
        says), and after a 503 or a broken connection where that does nothing twice. 0: never.
    on_tokens: is called with each reply that has new tokens, for who keeps them.
    session: a requests.Session of yours, with proxies or certificates.

    Methods give the reply's JSON object as a Reply, a dict with etag and request_id, and
    raise an AgentAreaError. Any number of threads may use one client.
    """

    def __init__(
        self,
        base_url: str,
        token: Optional[str] = None,
        *,
        refresh_token: Optional[str] = None,
        timeout: float = 30.0,
        retries: int = 3,
        on_tokens: Optional[Callable[[Reply], None]] = None,
        session: Optional[requests.Session] = None,
    ) -> None:
        self._transport = Transport(
            base_url, token, refresh_token, timeout, retries, on_tokens, session
        )

    @classmethod
    def login(
        cls, base_url: str, username: str, password: str, **options: Any
    ) -> "AgentAreaClient":
        """Signs in and gives a client, whose tokens are renewed by themselves."""
        client = cls(base_url, **options)
        try:
            client._transport.take(
                client._transport.call(
                    "POST",
                    "/v1/auth/login",
                    json={"username": username, "password": password},
                    authenticated=False,
                )
            )
        except BaseException:
            client.close()
            raise
        return client

    def __enter__(self) -> "AgentAreaClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The login stays: logout() ends it."""
        self._transport.close()

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @property
    def token(self) -> Optional[str]:
        """The access token, or API key, that is sent now."""
        return self._transport.token

    @property
    def refresh_token(self) -> Optional[str]:
        """The newest refresh token: to be kept in place of the one before."""
        return self._transport.refresh_token

    @property
    def rate_limit(self) -> Dict[str, int]:
        """The newest X-RateLimit-* headers: limit, remaining and reset; empty without any."""
        return dict(self._transport.rate_limit)

    # Health

    def health(self) -> Reply:
        return self._call("GET", "/health")

    def health_ready(self) -> Reply:
        return self._call("GET", "/health/ready")

    # Authentication

    def refresh(self) -> Reply:
        """Gets new tokens now. A refused access token is renewed without it."""
        tokens = self._transport.refresh()
        assert tokens is not None
        return tokens

    def logout(self) -> None:
        """Ends the login with all its tokens."""
        self._call("POST", "/v1/auth/logout")
        self._transport.token = self._transport.refresh_token = None

    def me(self) -> Reply:
        return self._call("GET", "/v1/auth/me")

    def change_password(self, current_password: str, new_password: str) -> None:
        """Changes one's own. Every other sign-in ends; API keys stay."""
        body = {"current_password": current_password, "new_password": new_password}
        self._call("POST", "/v1/auth/password", json=body)

    def list_api_keys(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        user_id: Optional[str] = None,
    ) -> Reply:
        """One's own, the newest first. user_id: whose, for admins; "*" for everybody's."""
        return self._list("/v1/api-keys/", limit=limit, offset=offset, user_id=user_id)

    def iter_api_keys(self, *, user_id: Optional[str] = None) -> Iterator[JSON]:
        return self._pages("/v1/api-keys/", "api_keys", user_id=user_id)

    def create_api_key(
        self, name: str, scopes: Sequence[str], *, expires_at: Any = None
    ) -> Reply:
        """The reply's key is shown this once; it is a token for a client. scopes: ["*"] for all
        that the user may do, else such as "agents:read" and "chat:write". expires_at: a datetime.
        """
        expires = None if expires_at is None else text_of(expires_at)
        body = _set({"name": name, "scopes": scopes}, expires_at=expires)
        return self._call("POST", "/v1/api-keys/", json=body)

    def get_api_key(self, key_id: str) -> Reply:
        return self._call("GET", _path("/v1/api-keys/{}", key_id))

    def delete_api_key(self, key_id: str) -> None:
        self._call("DELETE", _path("/v1/api-keys/{}", key_id))

    # Agents

    def list_agents(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        type: Optional[str] = None,
        status: Optional[str] = None,
    ) -> Reply:
        """status: active, inactive or error."""
        return self._list(
            "/v1/agents/", limit=limit, offset=offset, type=type, status=status
        )

    def iter_agents(
        self, *, type: Optional[str] = None, status: Optional[str] = None
    ) -> Iterator[JSON]:
        return self._pages("/v1/agents/", "agents", type=type, status=status)

    def create_agent(
        self,
        name: str,
        agent_type: str,
        config: Optional[Mapping[str, Any]] = None,
        *,
        description: Optional[str] = None,
        status: Optional[str] = None,
        shared: Optional[bool] = None,
    ) -> Reply:
        """agent_type: one of list_agent_types(), whose config_schema says what config takes.
        shared: others may use the agent, too."""
        body = {"name": name, "type": agent_type, "config": config}
        return self._call(
            "POST",
            "/v1/agents/",
            json=_set(body, description=description, status=status, shared=shared),
        )

    def get_agent(self, agent_id: str) -> Reply:
        return self._call("GET", _path("/v1/agents/{}", agent_id))

    def replace_agent(
        self, agent_id: str, agent: Mapping[str, Any], *, if_match: Optional[str] = None
    ) -> Reply:
        """Takes an agent as get_agent gives it, changed. With its etag as if_match,
        PreconditionFailed is raised if somebody has changed it since."""
        return self._call(
            "PUT",
            _path("/v1/agents/{}", agent_id),
            json=agent,
            headers=_match(if_match),
        )

    def change_agent(
        self,
        agent_id: str,
        changes: Mapping[str, Any],
        *,
        if_match: Optional[str] = None,
    ) -> Reply:
        """changes: a merge patch. What is left out stays; None takes away."""
        return self._call(
            "PATCH",
            _path("/v1/agents/{}", agent_id),
            json=changes,
            headers=_match(if_match),
        )

    def delete_agent(self, agent_id: str, *, if_match: Optional[str] = None) -> None:
        self._call("DELETE", _path("/v1/agents/{}", agent_id), headers=_match(if_match))

    def list_agent_types(self) -> Reply:
        return self._call("GET", "/v1/agent-types")

    def list_models(self) -> Reply:
        return self._call("GET", "/v1/models")

    # Chat

    def chat(
        self,
        agent_id: str,
        message: str,
        *,
        session_id: Optional[str] = None,
        file_ids: Optional[Sequence[str]] = None,
        timeout: float = CHAT_TIMEOUT,
    ) -> Reply:
        """Says something, and gives the answer. Without session_id it begins a conversation,
        which the reply's session_id goes on with. A failed one is not said again: see chat_history.
        """
        return self._call(
            "POST",
            _path("/v1/agents/{}/chat", agent_id),
            json=_set({"message": message}, session_id=session_id, file_ids=file_ids),
            timeout=timeout,
        )

    def chat_stream(
        self,
        agent_id: str,
        message: str,
        *,
        session_id: Optional[str] = None,
        file_ids: Optional[Sequence[str]] = None,
        reconnect: float = 60.0,
    ) -> RunStream:
        """Says something, and gives the answer's events as they come, broken connections or not."""
        return RunStream(
            self._transport,
            "POST",
            _path("/v1/agents/{}/chat", agent_id),
            body=_set(
                {"message": message, "stream": True},
                session_id=session_id,
                file_ids=file_ids,
            ),
            reconnect=reconnect,
        )

    def chat_history(
        self,
        agent_id: str,
        *,
        session_id: Optional[str] = None,
        limit: Optional[int] = None,
        before: Any = None,
        user_id: Optional[str] = None,
    ) -> Reply:
        """The newest messages, in order of time. before: a message's timestamp, or a datetime.
        user_id: whose, for admins."""
        return self._list(
            _path("/v1/agents/{}/chat/history", agent_id),
            session_id=session_id,
            limit=limit,
            before=before,
            user_id=user_id,
        )

    def iter_chat_history(
        self,
        agent_id: str,
        *,
        session_id: Optional[str] = None,
        user_id: Optional[str] = None,
    ) -> Iterator[JSON]:
        """All messages, the newest first."""
        before = None
        while True:
            page = self.chat_history(
                agent_id,
                session_id=session_id,
                limit=PAGE,
                before=before,
                user_id=user_id,
            )
            yield from reversed(page["messages"])
            if not page["has_more"]:
                return
            before = page["messages"][0]["timestamp"]

    def list_sessions(
        self,
        agent_id: str,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        user_id: Optional[str] = None,
    ) -> Reply:
        path = _path("/v1/agents/{}/sessions", agent_id)
        return self._list(path, limit=limit, offset=offset, user_id=user_id)

    def iter_sessions(
        self, agent_id: str, *, user_id: Optional[str] = None
    ) -> Iterator[JSON]:
        return self._pages(
            _path("/v1/agents/{}/sessions", agent_id), "sessions", user_id=user_id
        )

    def delete_session(
        self, agent_id: str, session_id: str, *, user_id: Optional[str] = None
    ) -> None:
        path = _path("/v1/agents/{}/sessions/{}", agent_id, session_id)
        self._call("DELETE", path, params={"user_id": user_id})

    # Runs

    def get_run(self, run_id: str) -> Reply:
        return self._call("GET", _path("/v1/runs/{}", run_id))

    def cancel_run(self, run_id: str) -> Reply:
        return self._call("POST", _path("/v1/runs/{}/cancel", run_id))

    def run_events(
        self, run_id: str, *, after: Optional[int] = None, reconnect: float = 60.0
    ) -> RunStream:
        """A run's events, from its first or after the one of that event_id, until it ends."""
        path = _path("/v1/runs/{}/events", run_id)
        return RunStream(
            self._transport, "GET", path, after=after, resume=path, reconnect=reconnect
        )

    # Tasks

    def create_task(
        self,
        title: str,
        agent_id: str,
        *,
        description: Optional[str] = None,
        priority: Optional[str] = None,
        data: Optional[Mapping[str, Any]] = None,
        file_ids: Optional[Sequence[str]] = None,
        timeout_seconds: Optional[int] = None,
        max_attempts: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> Reply:
        """Queues work for an agent. priority: high, medium or low. Sent again after a broken
        connection, it is one task still; with an idempotency_key of yours, so it is when you call twice.
        """
        body = _set(
            {"title": title, "agent_id": agent_id},
            description=description,
            priority=priority,
            data=data,
            file_ids=file_ids,
            timeout_seconds=timeout_seconds,
            max_attempts=max_attempts,
        )
        key = idempotency_key or uuid.uuid4().hex
        return self._call(
            "POST",
            "/v1/tasks/",
            json=body,
            headers={"Idempotency-Key": key},
            idempotent=True,
        )

    def list_tasks(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        status: Optional[str] = None,
        agent_id: Optional[str] = None,
        priority: Optional[str] = None,
    ) -> Reply:
        """status: pending, running, completed, failed or cancelled."""
        return self._list(
            "/v1/tasks/",
            limit=limit,
            offset=offset,
            status=status,
            agent_id=agent_id,
            priority=priority,
        )

    def iter_tasks(
        self,
        *,
        status: Optional[str] = None,
        agent_id: Optional[str] = None,
        priority: Optional[str] = None,
    ) -> Iterator[JSON]:
        return self._pages(
            "/v1/tasks/", "tasks", status=status, agent_id=agent_id, priority=priority
        )

    def get_task(self, task_id: str) -> Reply:
        return self._call("GET", _path("/v1/tasks/{}", task_id))

    def cancel_task(self, task_id: str) -> Reply:
        return self._call("POST", _path("/v1/tasks/{}/cancel", task_id))

    def task_events(
        self, task_id: str, *, after: Optional[int] = None, reconnect: float = 60.0
    ) -> RunStream:
        """The events of a task's run, once it has begun and until it ends."""
        path = _path("/v1/tasks/{}/events", task_id)
        return RunStream(
            self._transport, "GET", path, after=after, resume=path, reconnect=reconnect
        )

    # MCP servers

    def list_mcp_servers(
        self, *, limit: Optional[int] = None, offset: Optional[int] = None
    ) -> Reply:
        return self._list("/v1/mcp-servers/", limit=limit, offset=offset)

    def iter_mcp_servers(self) -> Iterator[JSON]:
        return self._pages("/v1/mcp-servers/", "servers")

    def create_mcp_server(
        self,
        name: str,
        config: Mapping[str, Any],
        *,
        slug: Optional[str] = None,
        description: Optional[str] = None,
        transport: Optional[str] = None,
        shared: Optional[bool] = None,
        auto_start: Optional[bool] = None,
    ) -> Reply:
        """config: {"command", "args", "env"} for a program (admins only), {"url", "headers"} else."""
        body = _set(
            {"name": name, "config": config},
            slug=slug,
            description=description,
            transport=transport,
            shared=shared,
            auto_start=auto_start,
        )
        return self._call("POST", "/v1/mcp-servers/", json=body)

    def get_mcp_server(self, server_id: str) -> Reply:
        return self._call("GET", _path("/v1/mcp-servers/{}", server_id))

    def replace_mcp_server(
        self,
        server_id: str,
        server: Mapping[str, Any],
        *,
        if_match: Optional[str] = None,
    ) -> Reply:
        """Takes a server as get_mcp_server gives it, changed: a secret that is *** stays."""
        path = _path("/v1/mcp-servers/{}", server_id)
        return self._call("PUT", path, json=server, headers=_match(if_match))

    def change_mcp_server(
        self,
        server_id: str,
        changes: Mapping[str, Any],
        *,
        if_match: Optional[str] = None,
    ) -> Reply:
        """changes: a merge patch. What is left out stays; None takes away."""
        path = _path("/v1/mcp-servers/{}", server_id)
        return self._call("PATCH", path, json=changes, headers=_match(if_match))

    def delete_mcp_server(
        self, server_id: str, *, if_match: Optional[str] = None
    ) -> None:
        self._call(
            "DELETE", _path("/v1/mcp-servers/{}", server_id), headers=_match(if_match)
        )

    def start_mcp_server(self, server_id: str) -> Reply:
        return self._call("POST", _path("/v1/mcp-servers/{}/start", server_id))

    def stop_mcp_server(self, server_id: str) -> Reply:
        return self._call("POST", _path("/v1/mcp-servers/{}/stop", server_id))

    def restart_mcp_server(self, server_id: str) -> Reply:
        return self._call("POST", _path("/v1/mcp-servers/{}/restart", server_id))

    def list_mcp_tools(self, server_id: str) -> Reply:
        return self._call("GET", _path("/v1/mcp-servers/{}/tools", server_id))

    def mcp_server_logs(self, server_id: str, *, tail: Optional[int] = None) -> Reply:
        """The log's last lines, the newest at the end."""
        return self._list(_path("/v1/mcp-servers/{}/logs", server_id), tail=tail)

    def follow_mcp_server_logs(
        self, server_id: str, *, tail: Optional[int] = None, reconnect: float = 60.0
    ) -> EventStream:
        """The log's last lines and those to come, until the server is deleted."""
        path = _path("/v1/mcp-servers/{}/logs", server_id)
        params = {"follow": True, "tail": tail}
        return LogStream(
            self._transport,
            "GET",
            path,
            params=params,
            resume=path,
            reconnect=reconnect,
        )

    # Files

    def list_files(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        name: Optional[str] = None,
        content_type: Optional[str] = None,
    ) -> Reply:
        return self._list(
            "/v1/files/",
            limit=limit,
            offset=offset,
            name=name,
            content_type=content_type,
        )

    def iter_files(
        self, *, name: Optional[str] = None, content_type: Optional[str] = None
    ) -> Iterator[JSON]:
        return self._pages("/v1/files/", "files", name=name, content_type=content_type)

    def upload_file(
        self,
        source: Source,
        *,
        name: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        timeout: Optional[float] = None,
    ) -> Reply:
        """Uploads a file by its path, bytes, or something that can be read in binary.

        It is never whole in memory, and what the server has kept is checked by its SHA-256.
        """
        with opened(source, name) as (file, called):
            form = Form(file, called, metadata)
            response = self._transport.send(
                "POST",
                "/v1/files/upload",
                body=form.pieces,
                headers={
                    "Content-Type": f"multipart/form-data; boundary={form.boundary}"
                },
                timeout=timeout,
                repeatable=form.repeatable,
            )
            uploaded = reply_of(response)
            _check(uploaded, form.sha256.hexdigest())
            return uploaded

    def get_file(self, file_id: str) -> Reply:
        return self._call("GET", _path("/v1/files/{}", file_id))

    def change_file(
        self,
        file_id: str,
        changes: Mapping[str, Any],
        *,
        if_match: Optional[str] = None,
    ) -> Reply:
        """changes: a merge patch of name and metadata."""
        return self._call(
            "PATCH",
            _path("/v1/files/{}", file_id),
            json=changes,
            headers=_match(if_match),
        )

    def delete_file(self, file_id: str, *, if_match: Optional[str] = None) -> None:
        self._call("DELETE", _path("/v1/files/{}", file_id), headers=_match(if_match))

    def download_file(self, file_id: str, target: Target) -> Reply:
        """Downloads to a path, or to something that can be written in binary, and gives the file's data.

        At a path there is the whole file, checked by its SHA-256, or nothing new. A broken
        connection is made again, and goes on where it was.
        """
        if not isinstance(target, (str, os.PathLike)):
            info = self.get_file(file_id)
            self._download(info, target.write)
            return info
        partial = f"{os.fspath(target)}.{uuid.uuid4().hex[:8]}.part"
        try:
            with open(partial, "wb") as file:
                info = self.get_file(file_id)
                self._download(info, file.write)
            os.replace(partial, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.remove(partial)
            raise
        return info

    def read_file(self, file_id: str) -> bytes:
        """Gives a file's bytes, for small ones."""
        content = bytearray()
        self._download(self.get_file(file_id), content.extend)
        return bytes(content)

    def _download(self, info: JSON, write: Callable[[bytes], Any]) -> None:
        sha256 = hashlib.sha256()
        arrived = broken = 0
        while arrived < info["size"]:
            before = arrived
            try:
                for piece in self._piece(info, arrived):
                    write(piece)
                    sha256.update(piece)
                    arrived += len(piece)
                if arrived < info["size"]:
                    raise ConnectionFailed("CONNECTION_FAILED", "The download was cut")
            except ConnectionFailed:
                broken = 1 if arrived > before else broken + 1
                if broken > self._transport.retries:
                    raise
        _check(info, sha256.hexdigest())

    def _piece(self, info: JSON, arrived: int) -> Iterator[bytes]:
        response = self._transport.send(
            "GET",
            _path("/v1/files/{}/download", info["id"]),
            headers={
                "Range": f"bytes={arrived}-" if arrived else None,
                "Accept-Encoding": "identity",
            },
            stream=True,
        )
        with response:
            if arrived and response.status_code != 206:
                raise AgentAreaError(
                    "INVALID_RESPONSE", "The server does not go on with a download"
                )
            try:
                yield from response.iter_content(PIECE)
            except requests.RequestException as failed:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"The download was cut: {failed}"
                ) from failed

    def move_files(self, from_: str, to: str) -> EventStream:
        """Moves all files of one backend to another (admins), and tells how far it is. Leaving
        ends it; another call goes on where it was."""
        return EventStream(
            self._transport, "POST", "/v1/files/move", body={"from": from_, "to": to}
        )

    # Users, audit, usage and plugins

    def list_users(
        self, *, limit: Optional[int] = None, offset: Optional[int] = None
    ) -> Reply:
        return self._list("/v1/users/", limit=limit, offset=offset)

    def iter_users(self) -> Iterator[JSON]:
        return self._pages("/v1/users/", "users")

    def create_user(
        self, username: str, email: str, password: str, role: Optional[str] = None
    ) -> Reply:
        """role: admin, member (the default) or viewer."""
        body = {"username": username, "email": email, "password": password}
        return self._call("POST", "/v1/users/", json=_set(body, role=role))

    def get_user(self, user_id: str) -> Reply:
        return self._call("GET", _path("/v1/users/{}", user_id))

    def change_user(self, user_id: str, changes: Mapping[str, Any]) -> Reply:
        """changes: email, role, disabled; what is left out stays. A disabled user is out at once."""
        return self._call("PATCH", _path("/v1/users/{}", user_id), json=changes)

    def reset_password(self, user_id: str, password: str) -> None:
        """Sets somebody's password (admins), whose sign-ins end."""
        self._call(
            "POST", _path("/v1/users/{}/password", user_id), json={"password": password}
        )

    def list_audit(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        user_id: Optional[str] = None,
        action: Optional[str] = None,
        target: Optional[str] = None,
        outcome: Optional[str] = None,
        request_id: Optional[str] = None,
        from_: Any = None,
        to: Any = None,
    ) -> Reply:
        """Who did what, the newest first (admins). outcome: done or refused. from_, to: times."""
        filters = {
            "user_id": user_id,
            "action": action,
            "target": target,
            "outcome": outcome,
        }
        more = {"request_id": request_id, "from": from_, "to": to}
        return self._list("/v1/audit", limit=limit, offset=offset, **filters, **more)

    def iter_audit(self, **filters: Any) -> Iterator[JSON]:
        """All entries, by the filters of list_audit."""
        return self._pages("/v1/audit", "entries", **_unreserved(filters))

    def list_usage(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        from_: Any = None,
        to: Any = None,
        by: Optional[str] = None,
        agent_id: Optional[str] = None,
        model: Optional[str] = None,
        user_id: Optional[str] = None,
    ) -> Reply:
        """from_, to: days, as a date or "2025-01-31"."""
        return self._list(
            "/v1/usage",
            limit=limit,
            offset=offset,
            by=by,
            agent_id=agent_id,
            model=model,
            user_id=user_id,
            to=to,
            **{"from": from_},
        )

    def iter_usage(self, **filters: Any) -> Iterator[JSON]:
        """All rows, by the filters of list_usage."""
        return self._pages("/v1/usage", "usage", **_unreserved(filters))

    def list_plugins(self) -> Reply:
        return self._call("GET", "/v1/plugins")

    def reload_plugins(self, *, dry_run: Optional[bool] = None) -> Reply:
        return self._call(
            "POST",
            "/v1/plugins/reload",
            params={"dry_run": dry_run},
            timeout=CHAT_TIMEOUT,
        )

    # WebSocket

    def websocket(self, *, reconnect: float = 60.0) -> AgentAreaWebSocket:
        """Connects and signs in. Needs the package websocket-client."""
        return AgentAreaWebSocket(self._transport, reconnect)

    def _call(self, method: str, path: str, **options: Any) -> Reply:
        return self._transport.call(method, path, **options)

    def _list(self, path: str, **params: Any) -> Reply:
        return self._transport.call("GET", path, params=params)

    def _pages(self, path: str, noun: str, **params: Any) -> Iterator[JSON]:
        """Gives all of a list. What is added to it meanwhile does not come twice;
        to delete while you iterate, make a list of it first."""
        offset = 0
        page_before: set = set()
        while True:
            found = self._list(path, limit=PAGE, offset=offset, **params)[noun]
            for one in found:
                if _key(one) not in page_before:
                    yield one
            if len(found) < PAGE:
                return
            page_before = {_key(one) for one in found} - {None}
            offset += len(found)


def _path(template: str, *ids: str) -> str:
    return template.format(*(quote(one, safe="") for one in ids))


def _set(body: JSON, **more: Any) -> JSON:
    """Adds what is given."""
    body.update(more)
    return {name: value for name, value in body.items() if value is not None}


def _key(one: JSON) -> Any:
    """What one of a list is known by; rows of usage are sums, and have none."""
    return one.get("id", one.get("seq"))


def _unreserved(filters: JSON) -> JSON:
    """The names of the API, one of which is a word of Python's."""
    return {name.rstrip("_"): value for name, value in filters.items()}


def _match(etag: Optional[str]) -> Dict[str, Optional[str]]:
    return {"If-Match": etag}


def _check(file: JSON, sha256: str) -> None:
    if file["sha256"] != sha256:
        raise ChecksumMismatch(
            "CHECKSUM_MISMATCH",
            f"The file {file['id']} has the SHA-256 {file['sha256']} on the server and {sha256} here",
            details={"file_id": file["id"]},
        )
