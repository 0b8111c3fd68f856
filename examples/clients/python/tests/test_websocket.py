"""The WebSocket: tasks until they are done, broken connections, a killed server."""

import builtins
import threading
import unittest
from unittest import mock

from .harness import PASSWORD, AgentAreaClient, Proxy, Server, admin, server

import agentarea


def statuses(socket, number):
    """The status of each task's messages until so many have ended, and their numbers."""
    seen = {}
    numbers = []
    for message in socket:
        numbers.append(message["seq"])
        seen.setdefault(message["task_id"], []).append(message["status"])
        if sum(one[-1] == "completed" for one in seen.values()) == number:
            return seen, numbers


class WebSocket(unittest.TestCase):
    def setUp(self):
        self.agent = admin().create_agent("a", "chat", {"model": "echo"})["id"]

    def test_tasks_until_done(self):
        with admin().websocket() as socket:
            socket.subscribe("tasks")
            task = admin().create_task("Hello", self.agent)
            seen, _ = statuses(socket, 1)
            self.assertEqual(seen, {task["id"]: ["pending", "running", "completed"]})
            # From the beginning, of that task alone.
            socket.unsubscribe("tasks")
            self.assertEqual(socket.subscribe(f"task.{task['id']}.events", after=0), 0)
            self.assertEqual(statuses(socket, 1)[0], seen)
            self.assertIsNone(socket.receive(timeout=0.1))
        self.assertEqual(list(socket), [])

    def test_agent(self):
        with admin().websocket() as socket:
            socket.subscribe(f"agent.{self.agent}.events")
            admin().chat(self.agent, "Good day", session_id="s")
            message = socket.receive()
            self.assertEqual(
                (message["type"], message["message"]), ("agent.message", "Good day")
            )

    def test_what_can_not_be(self):
        with admin().websocket() as socket:
            with self.assertRaises(agentarea.ValidationError):
                socket.subscribe("nothing")
            with self.assertRaises(agentarea.NotFound):
                socket.subscribe("agent.agent-none.events")
            socket.subscribe("tasks")
        with self.assertRaises(agentarea.Unauthorized):
            AgentAreaClient(server().url, "bad").websocket()

    def test_cut(self):
        """Whenever it is cut, each message comes once and in order."""
        proxy = Proxy(server().listen)
        self.addCleanup(proxy.close)
        client = AgentAreaClient(proxy.url, admin().token)
        with client.websocket() as socket:
            socket.subscribe("tasks")
            made = []
            seen = {}
            numbers = []
            for _ in range(3):
                made += [
                    admin().create_task(f"Hello {i}", self.agent)["id"]
                    for i in range(3)
                ]
                for _ in range(4):
                    message = socket.receive()
                    numbers.append(message["seq"])
                    seen.setdefault(message["task_id"], []).append(message["status"])
                proxy.cut()
                made.append(admin().create_task("Hello meanwhile", self.agent)["id"])
            while sum(one[-1] == "completed" for one in seen.values()) < len(made):
                message = socket.receive()
                numbers.append(message["seq"])
                seen.setdefault(message["task_id"], []).append(message["status"])
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(
            seen, {one: ["pending", "running", "completed"] for one in made}
        )
        # Cut while it subscribes, too.
        with client.websocket() as socket:
            proxy.cut()
            socket.subscribe("tasks")

    def test_killed_server(self):
        own = Server()
        self.addCleanup(own.remove)
        client = own.login()
        agent = client.create_agent("a", "chat", {"model": "echo"})["id"]
        with client.websocket() as socket:
            socket.subscribe("tasks")
            made = [
                client.create_task(f"/tokens 5 /delay 50ms {i}", agent)["id"]
                for i in range(3)
            ]
            socket.receive()
            own.kill()
            restarting = threading.Thread(target=own.start)
            restarting.start()
            seen = {made[0]: ["pending"]}
            while sum(one[-1] == "completed" for one in seen.values()) < len(made):
                message = socket.receive()
                seen.setdefault(message["task_id"], []).append(message["status"])
            restarting.join()
        for one in made:
            self.assertEqual((seen[one][0], seen[one][-1]), ("pending", "completed"))

    def test_stale_token(self):
        """Whose login has ended is told so; a stale token is refreshed."""
        client = server().login()
        client._transport.token = "stale"
        with client.websocket() as socket:
            socket.subscribe("tasks")
            client.logout()
            with self.assertRaises(agentarea.Unauthorized):
                socket.receive(timeout=20)

    def test_close_by_another_thread(self):
        socket = admin().websocket()
        socket.subscribe("tasks")
        threading.Timer(0.2, socket.close).start()
        self.assertEqual(list(socket), [])

    def test_nobody_there(self):
        proxy = Proxy(server().listen)
        client = AgentAreaClient(proxy.url, admin().token)
        with client.websocket(reconnect=1) as socket:
            proxy.close()
            with self.assertRaises(agentarea.ConnectionFailed):
                socket.receive()
        with self.assertRaises(agentarea.ConnectionFailed):
            client.websocket()

    def test_without_the_package(self):
        ours = builtins.__import__

        def no_websocket(name, *rest):
            if name == "websocket":
                raise ImportError(name)
            return ours(name, *rest)

        with mock.patch("builtins.__import__", no_websocket):
            with self.assertRaisesRegex(ImportError, "pip install websocket-client"):
                admin().websocket()


if __name__ == "__main__":
    unittest.main()
