"""Every operation of the server's OpenAPI document, and related features."""

import datetime
import io
import pathlib
import re
import sys
import unittest
import zipfile

import requests

from .harness import HERE, AgentAreaClient, Server, admin, eventually, server

import agentarea

MCP_SERVER = {
    "command": sys.executable,
    "args": [str(HERE / "mcp_server.py")],
    "env": {"API_KEY": "secret-key"},
}


class Recorder(requests.Session):
    """A session that records its requests."""

    def __init__(self):
        super().__init__()
        self.requests = set()

    def request(self, method, url, **options):
        self.requests.add((method, re.sub(r"^http://[^/]+", "", url)))
        return super().request(method, url, **options)


class EveryOperation(unittest.TestCase):
    """Calls every operation on its own server, and checks that none is missing."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.recorder = Recorder()
        cls.client = cls.server.login(session=cls.recorder)
        cls.document = requests.get(cls.server.url + "/openapi.json").json()

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield method.upper(), path, operation["operationId"]

    def test_each_has_a_method(self):
        missing = [
            item
            for _, _, item in self.operations()
            if not hasattr(self.client, item.replace("-", "_"))
        ]
        self.assertEqual(missing, [], "operations without a method of AgentAreaClient")

    def test_each_works(self):
        for part in (
            self.reads,
            self.agents,
            self.chat,
            self.tasks,
            self.mcp_servers,
            self.files,
            self.users,
            self.api_keys,
            self.end,
        ):
            with self.subTest(part.__name__):
                part()
        self.recorder.requests.add(("GET", "/v1/ws"))  # called by test_websocket.py
        not_called = []
        for method, path, operation in self.operations():
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path.rstrip("/")) + "/?")
            if not any(
                m == method and pattern.fullmatch(p) for m, p in self.recorder.requests
            ):
                not_called.append(operation)
        self.assertEqual(not_called, [], "operations that were not called")

    def reads(self):
        c = self.client
        self.assertEqual(c.health()["status"], "healthy")
        self.assertIn("status", c.health_ready())
        self.assertEqual(c.me()["username"], "admin")
        self.assertIn("refresh_token", c.refresh())
        self.assertIn(
            "chat", [item["type"] for item in c.list_agent_types()["agent_types"]]
        )
        self.assertIn("echo/echo", [item["id"] for item in c.list_models()["models"]])
        self.assertIn("echo", [item["label"] for item in c.list_plugins()["plugins"]])
        self.assertIn("kept", c.reload_plugins(dry_run=True, force=True))
        self.assertEqual(
            c.list_usage(by="model", from_="2025-01-01", to=datetime.date(2025, 1, 31))[
                "usage"
            ],
            [],
        )
        self.assertGreater(c.get_storage_usage()["database"]["limit_bytes"], 0)

    def agents(self):
        c = self.client
        agent = c.create_agent(
            "a", "chat", {"model": "echo"}, description="An agent", shared=False
        )
        self.assertEqual(
            (agent["description"], agent["status"]), ("An agent", "active")
        )
        self.assertEqual(c.get_agent(agent["id"]), agent)
        self.assertIn(
            agent["id"],
            [
                item["id"]
                for item in c.list_agents(limit=5, type="chat", status="active")[
                    "agents"
                ]
            ],
        )
        changed = c.change_agent(agent["id"], {"name": "b"}, if_match=agent.etag)
        self.assertNotEqual(changed.etag, agent.etag)
        with self.assertRaises(agentarea.PreconditionFailed):
            c.change_agent(agent["id"], {"name": "c"}, if_match=agent.etag)
        with self.assertRaises(agentarea.PreconditionFailed):
            c.replace_agent(agent["id"], agent, if_match=agent.etag)
        changed["name"] = "d"
        self.assertEqual(
            c.replace_agent(agent["id"], changed, if_match=changed.etag)["name"], "d"
        )
        with self.assertRaises(agentarea.PreconditionFailed):
            c.delete_agent(agent["id"], if_match=agent.etag)
        self.assertIsNone(c.delete_agent(agent["id"]))
        with self.assertRaises(agentarea.NotFound):
            c.get_agent(agent["id"])

    def chat(self):
        c = self.client
        agent = c.create_agent("a", "chat", {"model": "echo"})["id"]
        reply = c.chat(agent, "Good day", session_id="s")
        self.assertEqual((reply["message"], reply["session_id"]), ("Good day", "s"))
        self.assertEqual(c.get_run(reply["metadata"]["run_id"])["status"], "completed")
        self.assertEqual(c.run_events(reply["metadata"]["run_id"]).wait(), "Good day")
        with c.chat_stream(agent, "/tokens 100 /delay 100ms") as stream:
            next(iter(stream))
            self.assertTrue(c.cancel_run(stream.run_id)["cancel_requested"])
        eventually(lambda: c.get_run(stream.run_id)["status"] == "cancelled")
        now = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=5)))
        history = c.chat_history(agent, session_id="s", limit=1, before=now)
        self.assertEqual(
            (history["messages"][0]["content"], history["has_more"]), ("Good day", True)
        )
        self.assertEqual(
            [item["role"] for item in c.iter_chat_history(agent, session_id="s")],
            ["assistant", "user"],
        )
        self.assertIn("s", [item["id"] for item in c.list_sessions(agent)["sessions"]])
        self.assertEqual(len(list(c.iter_sessions(agent))), 2)
        with self.assertRaises(ValueError):
            c.delete_session(agent, "..")
        self.assertIsNone(c.delete_session(agent, "s"))
        self.assertEqual(c.chat_history(agent, session_id="s")["messages"], [])
        self.assertGreater(sum(item["completions"] for item in c.iter_usage()), 0)

    def tasks(self):
        c = self.client
        agent = c.create_agent("a", "chat", {"model": "echo"})["id"]
        options = {
            "description": "More of it",
            "priority": "high",
            "data": {"n": 1},
            "idempotency_key": "item",
        }
        task = c.create_task(
            "Hello", agent, timeout_seconds=60, max_attempts=2, **options
        )
        again = c.create_task(
            "Hello", agent, timeout_seconds=60, max_attempts=2, **options
        )
        self.assertEqual(again["id"], task["id"])
        with self.assertRaises(agentarea.Conflict):
            c.create_task("Another", agent, idempotency_key="item")
        self.assertIn("More of it", c.task_events(task["id"]).wait())
        self.assertEqual(c.get_task(task["id"])["status"], "completed")
        self.assertEqual(
            c.list_tasks(status="completed", agent_id=agent, priority="high")["total"],
            1,
        )
        with self.assertRaises(agentarea.Conflict):
            c.cancel_task(task["id"])
        slow = c.create_task("/tokens 100 /delay 100ms", agent)
        c.cancel_task(slow["id"])
        eventually(lambda: c.get_task(slow["id"])["status"] == "cancelled")
        self.assertEqual(
            {item["id"] for item in c.iter_tasks(agent_id=agent)},
            {task["id"], slow["id"]},
        )

    def mcp_servers(self):
        c = self.client
        item = c.create_mcp_server(
            "greeter", MCP_SERVER, slug="greeter", auto_start=False
        )
        self.assertEqual(
            (item["status"], item["config"]["env"]["API_KEY"]), ("stopped", "***")
        )
        c.start_mcp_server(item["id"])
        eventually(lambda: c.get_mcp_server(item["id"])["status"] == "running")
        self.assertEqual(
            [t["qualified_name"] for t in c.list_mcp_tools(item["id"])["tools"]],
            ["greeter__greet"],
        )
        eventually(
            lambda: "server started"
            in [line["text"] for line in c.mcp_server_logs(item["id"], tail=9)["logs"]]
        )
        now = c.get_mcp_server(item["id"])
        changed = c.change_mcp_server(
            item["id"], {"description": "It greets"}, if_match=now.etag
        )
        self.assertEqual(changed["description"], "It greets")
        changed["name"] = "Greeter"
        self.assertEqual(c.replace_mcp_server(item["id"], changed)["name"], "Greeter")
        c.restart_mcp_server(item["id"])
        eventually(lambda: c.get_mcp_server(item["id"])["status"] == "running")
        # An agent calls the server's tool.
        agent = c.create_agent(
            "a", "chat", {"model": "echo", "mcp_servers": ["greeter"]}
        )["id"]
        with c.chat_stream(agent, "/tool greeter__greet {}") as stream:
            kinds = [event["type"] for event in stream]
        self.assertEqual(stream.text, "hello")
        self.assertIn("tool_result", kinds)
        # The log stream ends when the server is deleted.
        with c.follow_mcp_server_logs(item["id"], tail=100) as log:
            for line in log:
                if line["text"] == "server started":
                    break
        log = c.follow_mcp_server_logs(item["id"])
        c.stop_mcp_server(item["id"])
        with self.assertRaises(agentarea.Conflict):  # the agent uses it
            c.delete_mcp_server(item["id"])
        c.delete_mcp_server(item["id"], force=True)
        self.assertEqual({line["type"] for line in log}, {"log"})
        remote = c.create_mcp_server(
            "remote",
            {"url": "http://127.0.0.1:9/mcp", "headers": {"X-Key": "secret"}},
            auto_start=False,
        )
        self.assertEqual(
            (remote["transport"], remote["slug"], remote["config"]["headers"]["X-Key"]),
            ("http", "remote", "***"),
        )
        self.assertEqual(c.list_mcp_servers(limit=1)["total"], 1)
        self.assertEqual([s["id"] for s in c.iter_mcp_servers()], [remote["id"]])

    def files(self):
        c = self.client
        file = c.upload_file(b"some text", name="a.txt", metadata={"n": 1})
        self.assertEqual((file["size"], file["metadata"]), (9, {"n": 1}))
        self.assertEqual(c.get_file(file["id"]), file)
        self.assertEqual(c.read_file(file["id"]), b"some text")
        self.assertEqual(
            c.change_file(file["id"], {"name": "b.txt"}, if_match=file.etag)["name"],
            "b.txt",
        )
        self.assertEqual(
            c.list_files(name="b.txt", content_type="text/plain")["total"], 1
        )
        self.assertEqual([item["name"] for item in c.iter_files()], ["b.txt"])
        agent = c.create_agent("a", "chat", {"model": "echo"})["id"]
        self.assertIn(
            "some text", c.chat(agent, "See:", file_ids=[file["id"]])["message"]
        )
        moved = list(c.move_files("local", "other"))
        self.assertEqual((moved[-1]["type"], moved[-1]["files"]), ("end", 1))
        with self.assertRaises(agentarea.ValidationError):
            c.move_files("local", "nowhere")
        self.assertEqual(c.read_file(file["id"]), b"some text")
        c.delete_file(file["id"])
        with self.assertRaises(agentarea.NotFound):
            c.read_file(file["id"])

    def users(self):
        c = self.client
        user = c.create_user(
            "ann", "ann@example.com", "a-password-of-ann", role="viewer"
        )
        self.assertEqual(c.get_user(user["id"])["role"], "viewer")
        self.assertEqual(c.list_users(limit=1)["total"], 2)
        self.assertEqual({item["username"] for item in c.iter_users()}, {"admin", "ann"})
        with self.assertRaises(agentarea.Conflict):
            c.create_user("ann", "ann@example.com", "a-password-of-ann")
        with AgentAreaClient.login(self.server.url, "ann", "a-password-of-ann") as ann:
            with self.assertRaises(agentarea.Forbidden):
                ann.create_agent("a", "chat", {"model": "echo"})
            self.assertEqual(ann.list_agents()["agents"], [])
        self.assertEqual(
            c.change_user(user["id"], {"role": "member"})["role"], "member"
        )
        self.assertIsNone(
            c.reset_password(user["id"], "another-password-of-ann", end_api_keys=True)
        )
        self.assertIsNone(c.end_user_sessions(user["id"]))
        with AgentAreaClient.login(
            self.server.url, "ann", "another-password-of-ann", session=self.recorder
        ) as ann:
            self.assertIsNone(ann.end_sessions())
            with self.assertRaises(agentarea.Unauthorized):
                ann.me()
        with AgentAreaClient.login(
            self.server.url, "ann", "another-password-of-ann", session=self.recorder
        ) as ann:
            self.assertIsNone(
                ann.change_password(
                    "another-password-of-ann", "a-third-password-of-ann"
                )
            )
            self.assertEqual(ann.me()["role"], "member")
            archive = io.BytesIO()
            c.export_user(user["id"], archive)
            self.assertIn("user.jsonl", zipfile.ZipFile(archive).namelist())
            heir = c.create_user("heir", "heir@example.com", "a-password-of-heir")
            gone = c.create_user("gone", "gone@example.com", "a-password-of-gone")
            self.assertIsNone(c.delete_user(gone["id"], transfer_to=heir["id"]))
            self.assertIsNone(c.delete_user(heir["id"]))
            c.change_user(user["id"], {"disabled": True})
            with self.assertRaises(agentarea.Unauthorized):
                eventually(lambda: ann.me() is None, 5)
        entry = next(
            c.iter_audit(
                action="change-user",
                target=user["id"],
                to=datetime.datetime.now(datetime.timezone.utc),
            )
        )
        self.assertEqual((entry["outcome"], entry["username"]), ("done", "admin"))
        self.assertGreater(
            c.list_audit(outcome="refused", from_="2025-01-01T00:00:00Z", limit=1)[
                "total"
            ],
            0,
        )

    def api_keys(self):
        c = self.client
        tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
            days=1
        )
        key = c.create_api_key("ci", ["agents:read", "chat:write"], expires_at=tomorrow)
        self.assertEqual(c.get_api_key(key["id"])["name"], "ci")
        self.assertEqual(c.list_api_keys(user_id="*")["total"], 1)
        self.assertEqual([item["id"] for item in c.iter_api_keys()], [key["id"]])
        agent = c.create_agent("a", "chat", {"model": "echo"})["id"]
        with AgentAreaClient(self.server.url, key["key"]) as program:
            self.assertEqual(program.chat_stream(agent, "By a key").wait(), "By a key")
            with program.websocket() as socket:
                socket.subscribe(f"agent.{agent}.events")
            with self.assertRaises(agentarea.Forbidden):
                program.delete_agent(agent)
            self.assertIsNone(c.delete_api_key(key["id"]))
            with self.assertRaises(agentarea.Unauthorized):
                eventually(lambda: program.get_agent(agent) is None, 5)

    def end(self):
        self.client.logout()


class Lists(unittest.TestCase):
    def test_pages(self):
        """Each item of three pages is listed once, although one is added meanwhile."""
        ids = [
            admin().create_agent(f"a{i}", "chat", {"model": "echo"})["id"]
            for i in range(205)
        ]
        seen = []
        for item in admin().iter_agents():
            if len(seen) == 50:
                admin().create_agent("new", "chat", {"model": "echo"})
            seen.append(item["id"])
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(set(ids), set(seen))


class InvalidInput(unittest.TestCase):
    def test_error_names_the_field(self):
        with self.assertRaises(agentarea.ValidationError) as caught:
            admin().create_agent("a", "chat", {"model": "echo", "temperature": "hot"})
        error = caught.exception
        self.assertEqual((error.status, error.field), (400, "config.temperature"))
        self.assertTrue(error.request_id.startswith("req-"))
        self.assertIn(error.details["issue"], str(error))

    def test_datetime_without_time_zone(self):
        with self.assertRaisesRegex(ValueError, "time zone"):
            admin().chat_history("agent-1", before=datetime.datetime(2025, 1, 1))


class Sources(unittest.TestCase):
    def test_no_line_is_too_long(self):
        for path in pathlib.Path(agentarea.__file__).parent.glob("*.py"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                self.assertLessEqual(len(line), 120, f"{path.name}:{number}")


if __name__ == "__main__":
    unittest.main()
