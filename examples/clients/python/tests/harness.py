"""Test fixtures: a built AgentArea server, a proxy that drops connections, a scripted server."""

from __future__ import annotations

import atexit
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from agentarea import AgentAreaClient, AgentAreaError  # noqa: E402

PASSWORD = "correct-horse-battery-staple"

PLUGINS = """
file_backend = "local"
plugin "llm" "echo" {
  command = "llm-echo"
  config {
    models = ["echo", "gpt-4"]
  }
}
plugin "agent" "chat" {
  command = "agent-chat"
}
plugin "files" "local" {
  command = "files-local"
}
plugin "files" "other" {
  command = "files-local"
}
plugin "mcp" "stdio" {
  command = "mcp-stdio"
}
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
"""


def binaries() -> pathlib.Path:
    """Returns the folder of the built server: AGENTAREA_BIN, or the output of make build."""
    found = pathlib.Path(os.environ.get("AGENTAREA_BIN") or HERE.parents[3] / "bin")
    if not (found / "agentarea").exists():
        raise RuntimeError(
            f"{found} has no agentarea binary: run make build, or set AGENTAREA_BIN"
        )
    return found


class Server:
    """A server with its own folder."""

    def __init__(self, **env: str) -> None:
        self.env = env
        self.dir = tempfile.mkdtemp(prefix="agentarea-clients-")
        pathlib.Path(self.dir, "plugins.hcl").write_text(PLUGINS)
        self.listen = "127.0.0.1:0"
        self.process: Optional[subprocess.Popen] = None
        atexit.register(self.remove)
        self.start()

    def start(self) -> None:
        log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen(
            [str(binaries() / "agentarea"), "serve", "--listen", self.listen],
            cwd=self.dir,
            env={
                "PATH": os.environ["PATH"],
                "HOME": self.dir,
                "TMPDIR": tempfile.gettempdir(),
                "AGENTAREA_ADMIN_PASSWORD": PASSWORD,
                "AGENTAREA_WATCH_CONFIG": "false",
                # Tests of rate limits use another server.
                "AGENTAREA_RATE_LIMIT_PER_MINUTE": "0",
                "AGENTAREA_RATE_LIMIT_BURST": "0",
                "AGENTAREA_DRAIN_DELAY": "0",
                **self.env,
            },
            stdout=subprocess.PIPE,
            stderr=log,
        )
        log.close()
        self.url = ""
        for line in self.process.stdout:
            found = re.search(rb"API +(http://\S+)", line)
            if found:
                self.url = found.group(1).decode()
            if b"Plugins:" in line:
                break
        if not self.url:
            raise RuntimeError(
                f"the server did not start:  {pathlib.Path(self.dir, 'log').read_text()}"
            )
        self.listen = self.url[len("http://") :]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        with AgentAreaClient(self.url, retries=0) as client:
            eventually(lambda: ready(client))

    def kill(self) -> None:
        """Kills the server with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def login(self, **options: Any) -> AgentAreaClient:
        return AgentAreaClient.login(self.url, "admin", PASSWORD, **options)


def ready(client: AgentAreaClient) -> bool:
    try:
        client.health_ready()
        return True
    except AgentAreaError:
        return False


@functools.lru_cache(maxsize=None)
def server() -> Server:
    """The server that most tests share. They must not stop it or change its settings."""
    return Server()


@functools.lru_cache(maxsize=None)
def admin() -> AgentAreaClient:
    """A client of the shared server. Tests share it because logins are rate-limited."""
    return server().login()


def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Waits until the condition is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"condition not met within {seconds} s")
        time.sleep(0.02)


def tokens(number: int) -> str:
    """Returns the answer of the model echo to /tokens."""
    return " ".join(f"token-{i + 1}" for i in range(number))


class Proxy:
    """A TCP proxy that can drop all its connections."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: List[socket.socket] = []
        self.connections = 0
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(self._to)
            except OSError:
                client.close()
                continue
            with self._lock:
                self.connections += 1
                self._open += [client, upstream]
            for a, b in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    def _copy(self, a: socket.socket, b: socket.socket) -> None:
        try:
            while True:
                data = a.recv(1 << 16)
                if not data:
                    break
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def drop(self) -> None:
        """Resets all open connections."""
        with self._lock:
            for connection in self._open:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                connection.close()
            self._open = []

    def close(self) -> None:
        """Drops all connections and accepts no new ones."""
        try:
            self._listener.shutdown(
                socket.SHUT_RDWR
            )  # unlike close, this interrupts accept
        except OSError:
            pass
        self._listener.close()
        self.drop()


Answer = Tuple[int, Dict[str, str], Any]


class Scripted:
    """An HTTP server that sends the responses of a script in order, and repeats the last one.

    A response is (status, headers, body). None drops the connection, and a number does so
    after that many seconds.
    """

    def __init__(self, *script: Any) -> None:
        self.requests: List[Tuple[str, str, Dict[str, str], bytes]] = []
        script_left = list(script)
        requests = self.requests
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with lock:
                    requests.append(
                        (self.command, self.path, dict(self.headers.items()), body)
                    )
                    answer = (
                        script_left.pop(0) if len(script_left) > 1 else script_left[0]
                    )
                if callable(answer):
                    answer = answer(
                        self.command, self.path, dict(self.headers.items()), body
                    )
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = None
                self.close_connection = answer is None
                if answer is None:
                    return
                status, headers, content = answer
                data = (
                    content
                    if isinstance(content, bytes)
                    else json.dumps(content).encode()
                )
                self.send_response(status)
                for name, value in {
                    "Content-Type": "application/json",
                    **headers,
                }.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers and status != 204:
                    self.send_header("Content-Length", str(len(data)))
                else:
                    self.close_connection = True  # the body is shorter than announced
                self.end_headers()
                if status != 204:
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
        ).start()

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def failure(code: str, **details: Any) -> Dict[str, Any]:
    return {
        "error": {
            "code": code,
            "message": f"scripted error: {code}",
            "details": details,
            "request_id": "req-1",
        }
    }
