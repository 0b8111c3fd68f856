"""The client. It has a method for each operation of the API, named after the operation."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from typing import Any, BinaryIO, Callable, Dict, Iterator, Mapping, Optional, Sequence
from urllib.parse import quote

import requests

from .errors import AgentAreaError, ChecksumMismatch, ConnectionFailed
from .files import CHUNK_SIZE, Form, Source, Target, open_source
from .stream import EventStream, LogStream, RunStream
from .transport import Reply, Transport, parse_reply, to_text
from .websocket import AgentAreaWebSocket

JSON = Dict[str, Any]

# Timeout of an answer that is not streamed, in seconds.
CHAT_TIMEOUT = 600.0

# The page size of the iterators, which is the API's maximum.
PAGE_SIZE = 100


class AgentAreaClient:
    """A client of an AgentArea server for one user.

    base_url: the server's URL, such as "http://localhost:8000".
    token: an access token or an API key. login() gets one for a password.
    refresh_token: used to get a new access token when the server rejects the old one.
    timeout: how many seconds to wait for a response, and between two chunks of it.
    retries: maximum number of retries. A request is retried after a 429 (after its
        Retry-After) and, if it is idempotent, after a 503 or a connection error. 0: never.
    on_tokens: called with each reply that has new tokens, so that you can store them.
    session: a requests.Session to use, for example with proxies or certificates.

    Methods return the JSON object of the response as a Reply, a dict with etag and
    request_id, and raise an AgentAreaError. The client is thread-safe.
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
        """Signs in and returns a client, which refreshes its tokens automatically."""
        client = cls(base_url, **options)
        try:
            client._transport.set_tokens(
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
        """Closes the connections. It does not end the login; logout() does."""
        self._transport.close()

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @property
    def token(self) -> Optional[str]:
        """The current access token or API key."""
        return self._transport.token

    @property
    def refresh_token(self) -> Optional[str]:
        """The current refresh token. It replaces all earlier ones."""
        return self._transport.refresh_token

    @property
    def rate_limit(self) -> Dict[str, int]:
        """The latest X-RateLimit-* headers: limit, remaining and reset; empty if there are none."""
        return dict(self._transport.rate_limit)

    # Health

    def health(self) -> Reply:
        return self._call("GET", "/health")

    def health_ready(self) -> Reply:
        return self._call("GET", "/health/ready")

    # Authentication

    def refresh(self) -> Reply:
        """Gets new tokens now. A rejected access token is refreshed automatically."""
        tokens = self._transport.refresh()
        assert tokens is not None
        return tokens

    def logout(self) -> None:
        """Ends the login and revokes its tokens."""
        self._call("POST", "/v1/auth/logout")
        self._transport.token = self._transport.refresh_token = None

    def end_sessions(self) -> None:
        """Ends all your logins, this one too, and deletes all your API keys."""
        self._call("POST", "/v1/auth/end-sessions")
        self._transport.token = self._transport.refresh_token = None

    def me(self) -> Reply:
        return self._call("GET", "/v1/auth/me")

    def change_password(self, current_password: str, new_password: str) -> None:
        """Changes your own password. This ends all other logins, but keeps API keys."""
        body = {"current_password": current_password, "new_password": new_password}
        self._call("POST", "/v1/auth/password", json=body)

    def list_api_keys(
        self,
        *,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        user_id: Optional[str] = None,
    ) -> Reply:
        """Your own API keys, newest first. user_id: another user's, or "*" for all (admins only)."""
        return self._list("/v1/api-keys/", limit=limit, offset=offset, user_id=user_id)

    def iter_api_keys(self, *, user_id: Optional[str] = None) -> Iterator[JSON]:
        return self._pages("/v1/api-keys/", "api_keys", user_id=user_id)

    def create_api_key(
        self, name: str, scopes: Sequence[str], *, expires_at: Any = None
    ) -> Reply:
        """Creates an API key. The reply's key is a token for a client; it is only returned once.
        scopes: ["*"] for all of the user's permissions, or for example "agents:read" and
        "chat:write". expires_at: a datetime.
        """
        expires = None if expires_at is None else to_text(expires_at)
        body = _without_none({"name": name, "scopes": scopes}, expires_at=expires)
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
        """agent_type: one of list_agent_types(). Its config_schema describes config.
        shared: whether other users can use the agent."""
        body = {"name": name, "type": agent_type, "config": config}
        return self._call(
            "POST",
            "/v1/agents/",
            json=_without_none(body, description=description, status=status, shared=shared),
        )

    def get_agent(self, agent_id: str) -> Reply:
        return self._call("GET", _path("/v1/agents/{}", agent_id))

    def replace_agent(
        self, agent_id: str, agent: Mapping[str, Any], *, if_match: Optional[str] = None
    ) -> Reply:
        """Replaces an agent. agent: a modified reply of get_agent. With its etag as if_match,
        PreconditionFailed is raised if the agent has changed since then."""
        return self._call(
            "PUT",
            _path("/v1/agents/{}", agent_id),
            json=agent,
            headers=_if_match(if_match),
        )

    def change_agent(
        self,
        agent_id: str,
        changes: Mapping[str, Any],
        *,
        if_match: Optional[str] = None,
    ) -> Reply:
        """changes: a merge patch. Omitted fields keep their value; None removes a field."""
        return self._call(
            "PATCH",
            _path("/v1/agents/{}", agent_id),
            json=changes,
            headers=_if_match(if_match),
        )

    def delete_agent(self, agent_id: str, *, if_match: Optional[str] = None) -> None:
        self._call("DELETE", _path("/v1/agents/{}", agent_id), headers=_if_match(if_match))

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
        """Sends a message and returns the answer. Without session_id it starts a conversation,
        which you continue with the reply's session_id. A failed request is not retried; see
        chat_history for whether the message was received.
        """
        return self._call(
            "POST",
            _path("/v1/agents/{}/chat", agent_id),
            json=_without_none({"message": message}, session_id=session_id, file_ids=file_ids),
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
        """Sends a message and streams the events of the answer. Lost connections are restored."""
        return RunStream(
            self._transport,
            "POST",
            _path("/v1/agents/{}/chat", agent_id),
            body=_without_none(
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
        """The newest messages in chronological order. before: a message's timestamp, or a
        datetime. user_id: another user's messages (admins only)."""
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
        """All messages, newest first."""
        before = None
        while True:
            page = self.chat_history(
                agent_id,
                session_id=session_id,
                limit=PAGE_SIZE,
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
        """Streams the events of a run until its end, from the first one or after an event_id."""
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
        """Queues a task for an agent. priority: high, medium or low. Retries after a connection
        error do not create a second task. With an idempotency_key, neither do repeated calls.
        """
        body = _without_none(
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
        """Streams the events of a task's run, from its start until its end."""
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
        """config: {"command", "args", "env"} for a program (admins only), or {"url", "headers"}."""
        body = _without_none(
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
        """Replaces a server. server: a modified reply of get_mcp_server. A secret *** is kept."""
        path = _path("/v1/mcp-servers/{}", server_id)
        return self._call("PUT", path, json=server, headers=_if_match(if_match))

    def change_mcp_server(
        self,
        server_id: str,
        changes: Mapping[str, Any],
        *,
        if_match: Optional[str] = None,
    ) -> Reply:
        """changes: a merge patch. Omitted fields keep their value; None removes a field."""
        path = _path("/v1/mcp-servers/{}", server_id)
        return self._call("PATCH", path, json=changes, headers=_if_match(if_match))

    def delete_mcp_server(
        self,
        server_id: str,
        *,
        force: Optional[bool] = None,
        if_match: Optional[str] = None,
    ) -> None:
        """force: delete the server although agents use it. Their runs then fail."""
        self._call(
            "DELETE",
            _path("/v1/mcp-servers/{}", server_id),
            params={"force": force},
            headers=_if_match(if_match),
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
        """The last lines of the log, newest last."""
        return self._list(_path("/v1/mcp-servers/{}/logs", server_id), tail=tail)

    def follow_mcp_server_logs(
        self, server_id: str, *, tail: Optional[int] = None, reconnect: float = 60.0
    ) -> EventStream:
        """Streams the last and all new lines of the log until the server is deleted."""
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
        """Uploads a file. source: a path, bytes, or a binary file object.

        The file is never completely in memory. The result is verified by its SHA-256.
        """
        with open_source(source, name) as (file, file_name):
            form = Form(file, file_name, metadata)
            response = self._transport.send(
                "POST",
                "/v1/files/upload",
                body=form.chunks,
                headers={
                    "Content-Type": f"multipart/form-data; boundary={form.boundary}"
                },
                timeout=timeout,
                repeatable=form.repeatable,
            )
            uploaded = parse_reply(response)
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
            headers=_if_match(if_match),
        )

    def delete_file(self, file_id: str, *, if_match: Optional[str] = None) -> None:
        self._call("DELETE", _path("/v1/files/{}", file_id), headers=_if_match(if_match))

    def download_file(self, file_id: str, target: Target) -> Reply:
        """Downloads a file to a path or a binary file object, and returns the file's metadata.

        A file at a path only appears when it is complete and verified by its SHA-256. After a
        connection error the download is resumed.
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
        """Returns the content of a small file."""
        content = bytearray()
        self._download(self.get_file(file_id), content.extend)
        return bytes(content)

    def _download(self, info: JSON, write: Callable[[bytes], Any]) -> None:
        sha256 = hashlib.sha256()
        received = failures = 0
        while received < info["size"]:
            before = received
            try:
                for chunk in self._chunks(info, received):
                    write(chunk)
                    sha256.update(chunk)
                    received += len(chunk)
                if received < info["size"]:
                    raise ConnectionFailed("CONNECTION_FAILED", "The download was interrupted")
            except ConnectionFailed:
                failures = 1 if received > before else failures + 1
                if failures > self._transport.retries:
                    raise
        _check(info, sha256.hexdigest())

    def _chunks(self, info: JSON, received: int) -> Iterator[bytes]:
        response = self._transport.send(
            "GET",
            _path("/v1/files/{}/download", info["id"]),
            headers={
                "Range": f"bytes={received}-" if received else None,
                "Accept-Encoding": "identity",
            },
            stream=True,
        )
        with response:
            if received and response.status_code != 206:
                raise AgentAreaError(
                    "INVALID_RESPONSE", "The server cannot resume the download"
                )
            try:
                yield from response.iter_content(CHUNK_SIZE)
            except requests.RequestException as failed:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"The download was interrupted: {failed}"
                ) from failed

    def move_files(self, from_: str, to: str) -> EventStream:
        """Moves all files of one backend to another and streams the progress (admins only).
        Closing the stream interrupts the move; another call resumes it."""
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
        return self._call("POST", "/v1/users/", json=_without_none(body, role=role))

    def get_user(self, user_id: str) -> Reply:
        return self._call("GET", _path("/v1/users/{}", user_id))

    def change_user(self, user_id: str, changes: Mapping[str, Any]) -> Reply:
        """changes: email, role, disabled. Disabling a user ends their logins immediately."""
        return self._call("PATCH", _path("/v1/users/{}", user_id), json=changes)

    def reset_password(
        self, user_id: str, password: str, *, end_api_keys: Optional[bool] = None
    ) -> None:
        """Sets a user's password and ends their logins (admins only).

        end_api_keys: also deletes the user's API keys.
        """
        body = _without_none({"password": password}, end_api_keys=end_api_keys)
        self._call("POST", _path("/v1/users/{}/password", user_id), json=body)

    def end_user_sessions(self, user_id: str) -> None:
        """Ends a user's logins and deletes their API keys (admins only)."""
        self._call("POST", _path("/v1/users/{}/end-sessions", user_id))

    def delete_user(self, user_id: str, *, transfer_to: Optional[str] = None) -> None:
        """Deletes a user and everything that the user has stored, or gives the user's
        objects to another user (admins only)."""
        objects = "transfer" if transfer_to else "erase"
        self._call(
            "DELETE",
            _path("/v1/users/{}", user_id),
            params={"objects": objects, "to": transfer_to},
        )

    def export_user(self, user_id: str, target: BinaryIO) -> None:
        """Writes a ZIP archive with everything that is stored about a user."""
        response = self._transport.send(
            "GET", _path("/v1/users/{}/export", user_id), stream=True
        )
        with response:
            try:
                for chunk in response.iter_content(CHUNK_SIZE):
                    target.write(chunk)
            except requests.RequestException as failed:
                raise ConnectionFailed(
                    "CONNECTION_FAILED", f"The export was interrupted: {failed}"
                ) from failed

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
        """The audit log, newest first (admins only). outcome: done or refused. from_, to: times."""
        filters = {
            "user_id": user_id,
            "action": action,
            "target": target,
            "outcome": outcome,
        }
        more = {"request_id": request_id, "from": from_, "to": to}
        return self._list("/v1/audit", limit=limit, offset=offset, **filters, **more)

    def iter_audit(self, **filters: Any) -> Iterator[JSON]:
        """All entries. It accepts the filters of list_audit."""
        return self._pages("/v1/audit", "entries", **_api_names(filters))

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
        """from_, to: days, as a date or text such as "2025-01-31"."""
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
        """All rows. It accepts the filters of list_usage."""
        return self._pages("/v1/usage", "usage", **_api_names(filters))

    def get_storage_usage(self, *, user_id: Optional[str] = None) -> Reply:
        """Another user's usage requires an admin."""
        return self._call("GET", "/v1/usage/storage", params={"user_id": user_id})

    def list_plugins(self) -> Reply:
        return self._call("GET", "/v1/plugins")

    def reload_plugins(
        self, *, dry_run: Optional[bool] = None, force: Optional[bool] = None
    ) -> Reply:
        return self._call(
            "POST",
            "/v1/plugins/reload",
            params={"dry_run": dry_run, "force": force},
            timeout=CHAT_TIMEOUT,
        )

    # WebSocket

    def websocket(self, *, reconnect: float = 60.0) -> AgentAreaWebSocket:
        """Connects and authenticates. Requires the package websocket-client."""
        return AgentAreaWebSocket(self._transport, reconnect)

    def _call(self, method: str, path: str, **options: Any) -> Reply:
        return self._transport.call(method, path, **options)

    def _list(self, path: str, **params: Any) -> Reply:
        return self._transport.call("GET", path, params=params)

    def _pages(self, path: str, field: str, **params: Any) -> Iterator[JSON]:
        """Yields all items of a list. Items that are added meanwhile cause no duplicates.
        To delete items while iterating, first make a list of them."""
        offset = 0
        previous_page: set = set()
        while True:
            items = self._list(path, limit=PAGE_SIZE, offset=offset, **params)[field]
            for item in items:
                if _key(item) not in previous_page:
                    yield item
            if len(items) < PAGE_SIZE:
                return
            previous_page = {_key(item) for item in items} - {None}
            offset += len(items)


def _path(template: str, *ids: str) -> str:
    """Returns a path with encoded ids.

    It rejects "." and "..", which requests would remove from the URL: deleting the
    session ".." of an agent would delete the agent.
    """
    for item in ids:
        if item in (".", ".."):
            raise ValueError(f'The id "{item}" cannot be part of a URL.')
    return template.format(*(quote(item, safe="") for item in ids))


def _without_none(body: JSON, **more: Any) -> JSON:
    """Returns the fields that are not None."""
    body.update(more)
    return {name: value for name, value in body.items() if value is not None}


def _key(item: JSON) -> Any:
    """Returns what identifies an item of a list. Rows of usage have no identifier."""
    return item.get("id", item.get("seq"))


def _api_names(filters: JSON) -> JSON:
    """Returns the filters with the API's names: "from" is from_ in Python."""
    return {name.rstrip("_"): value for name, value in filters.items()}


def _if_match(etag: Optional[str]) -> Dict[str, Optional[str]]:
    return {"If-Match": etag}


def _check(file: JSON, sha256: str) -> None:
    if file["sha256"] != sha256:
        raise ChecksumMismatch(
            "CHECKSUM_MISMATCH",
            f"File {file['id']}: expected SHA-256 {file['sha256']}, got {sha256}. Try again.",
            details={"file_id": file["id"]},
        )
