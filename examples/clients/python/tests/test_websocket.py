"""The WebSocket: task events, lost connections, a killed server."""

import builtins
import threading
import unittest
from unittest import mock

from .harness import PASSWORD, AgentAreaClient, Proxy, Server, admin, server

import agentarea


def read_until_done(socket, number):
    """Reads until number tasks have completed. Returns the statuses per task, and all seqs."""
    statuses = {}
    numbers = []
    for message in socket:
        numbers.append(message["seq"])
        statuses.setdefault(message["task_id"], []).append(message["status"])
        if sum(s[-1] == "completed" for s in statuses.values()) == number:
            return statuses, numbers


class WebSocket(unittest.TestCase):
    def setUp(self):
        self.agent = admin().create_agent("a", "chat", {"model": "echo"})["id"]

    def test_tasks_until_done(self):
        with admin().websocket() as socket:
            socket.subscribe("tasks")
            task = admin().create_task("Hello", self.agent)
            statuses, _ = read_until_done(socket, 1)
            self.assertEqual(statuses, {task["id"]: ["pending", "running", "completed"]})
            # All events of this task.
            socket.unsubscribe("tasks")
            self.assertEqual(socket.subscribe(f"task.{task['id']}.events", after=0), 0)
            self.assertEqual(read_until_done(socket, 1)[0], statuses)
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

    def test_errors(self):
        with admin().websocket() as socket:
            with self.assertRaises(agentarea.ValidationError):
                socket.subscribe("nothing")
            with self.assertRaises(agentarea.NotFound):
                socket.subscribe("agent.agent-none.events")
            socket.subscribe("tasks")
        with self.assertRaises(agentarea.Unauthorized):
            AgentAreaClient(server().url, "bad").websocket()

    def test_lost_connection(self):
        """After each lost connection, messages arrive once and in order."""
        proxy = Proxy(server().listen)
        self.addCleanup(proxy.close)
        client = AgentAreaClient(proxy.url, admin().token)
        with client.websocket() as socket:
            socket.subscribe("tasks")
            task_ids = []
            statuses = {}
            numbers = []
            for _ in range(3):
                task_ids += [
                    admin().create_task(f"Hello {i}", self.agent)["id"]
                    for i in range(3)
                ]
                for _ in range(4):
                    message = socket.receive()
                    numbers.append(message["seq"])
                    statuses.setdefault(message["task_id"], []).append(message["status"])
                proxy.drop()
                task_ids.append(admin().create_task("Hello meanwhile", self.agent)["id"])
            while sum(s[-1] == "completed" for s in statuses.values()) < len(task_ids):
                message = socket.receive()
                numbers.append(message["seq"])
                statuses.setdefault(message["task_id"], []).append(message["status"])
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(
            statuses, {task_id: ["pending", "running", "completed"] for task_id in task_ids}
        )
        # The connection is lost during subscribe, too.
        with client.websocket() as socket:
            proxy.drop()
            socket.subscribe("tasks")

    def test_killed_server(self):
        own = Server()
        self.addCleanup(own.remove)
        client = own.login()
        agent = client.create_agent("a", "chat", {"model": "echo"})["id"]
        with client.websocket() as socket:
            socket.subscribe("tasks")
            task_ids = [
                client.create_task(f"/tokens 5 /delay 50ms {i}", agent)["id"]
                for i in range(3)
            ]
            socket.receive()
            own.kill()
            restarting = threading.Thread(target=own.start)
            restarting.start()
            statuses = {task_ids[0]: ["pending"]}
            while sum(s[-1] == "completed" for s in statuses.values()) < len(task_ids):
                message = socket.receive()
                statuses.setdefault(message["task_id"], []).append(message["status"])
            restarting.join()
        for task_id in task_ids:
            self.assertEqual((statuses[task_id][0], statuses[task_id][-1]), ("pending", "completed"))

    def test_stale_token(self):
        """An expired token is refreshed. After a logout, receive raises Unauthorized."""
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

    def test_server_unreachable(self):
        proxy = Proxy(server().listen)
        client = AgentAreaClient(proxy.url, admin().token)
        with client.websocket(reconnect=1) as socket:
            proxy.close()
            with self.assertRaises(agentarea.ConnectionFailed):
                socket.receive()
        with self.assertRaises(agentarea.ConnectionFailed):
            client.websocket()

    def test_without_the_package(self):
        original_import = builtins.__import__

        def no_websocket(name, *rest):
            if name == "websocket":
                raise ImportError(name)
            return original_import(name, *rest)

        with mock.patch("builtins.__import__", no_websocket):
            with self.assertRaisesRegex(ImportError, "pip install websocket-client"):
                admin().websocket()


if __name__ == "__main__":
    unittest.main()
