"""What the tests run against: a built AgentArea, a proxy that cuts, a server with a script."""

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
    """The folder of the built server, as AGENTAREA_BIN names it or as make build fills it."""
    found = pathlib.Path(os.environ.get("AGENTAREA_BIN") or HERE.parents[3] / "bin")
    if not (found / "agentarea").exists():
        raise RuntimeError(
            f"there is no agentarea in {found}: run make build, or set AGENTAREA_BIN"
        )
    return found


class Server:
    """A server with a folder of its own."""

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
                # What is tested of limits has a server of its own.
                "AGENTAREA_RATE_LIMIT_PER_MINUTE": "0",
                "AGENTAREA_RATE_LIMIT_BURST": "0",
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
                f"the server does not start: {pathlib.Path(self.dir, 'log').read_text()}"
            )
        self.listen = self.url[len("http://") :]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        with AgentAreaClient(self.url, retries=0) as client:
            eventually(lambda: ready(client))

    def kill(self) -> None:
        """Ends it as kill -9 does."""
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
    """The server that tests share which leave it alone."""
    return Server()


@functools.lru_cache(maxsize=None)
def admin() -> AgentAreaClient:
    """A client of the shared server. Signing in is limited, so tests share that, too."""
    return server().login()


def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Waits until something is, and gives it."""
    give_up = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > give_up:
            raise AssertionError(f"waited for {seconds} s")
        time.sleep(0.02)


def tokens(number: int) -> str:
    """What the model echo answers to /tokens."""
    return " ".join(f"token-{i + 1}" for i in range(number))


class Proxy:
    """Passes connections on to an address until it cuts them."""

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
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._to)
            except OSError:
                near.close()
                continue
            with self._lock:
                self.connections += 1
                self._open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, a: socket.socket, b: socket.socket) -> None:
        try:
            while True:
                data = a.recv(1 << 16)
                if not data:
                    break
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self) -> None:
        """Resets all connections that there are."""
        with self._lock:
            for one in self._open:
                one.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                one.close()
            self._open = []

    def close(self) -> None:
        """Cuts, and lets nobody in any more."""
        try:
            self._listener.shutdown(
                socket.SHUT_RDWR
            )  # which ends an accept, as close does not
        except OSError:
            pass
        self._listener.close()
        self.cut()


Answer = Tuple[int, Dict[str, str], Any]


class Scripted:
    """Answers requests with what the script says, one after another; the last one again and again.

    An answer is (status, headers, body); None cuts the connection; a number waits so long first.
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
                    self.close_connection = True  # what is announced does not come
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
            "message": f"as the script says: {code}",
            "details": details,
            "request_id": "req-1",
        }
    }
