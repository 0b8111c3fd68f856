"""Streams: lost connections, a killed server, errors."""

import threading
import unittest

from .harness import (
    AgentAreaClient,
    Proxy,
    Scripted,
    Server,
    admin,
    failure,
    server,
    tokens,
)

import agentarea

SLOW = "/tokens 60 /delay 20ms"


def sse(*events, end="\n\n"):
    return (
        200,
        {"Content-Type": "text/event-stream", "Content-Length": "99999"},
        ("\n\n".join(events) + end).encode(),
    )


class Stream(unittest.TestCase):
    def setUp(self):
        self.agent = admin().create_agent("a", "chat", {"model": "echo"})["id"]

    def proxied(self, **options):
        proxy = Proxy(server().listen)
        self.addCleanup(proxy.close)
        client = AgentAreaClient(proxy.url, admin().token, **options)
        self.addCleanup(client.close)
        return proxy, client

    def assert_increasing(self, numbers):
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_events(self):
        with admin().chat_stream(
            self.agent, "Once upon a time", session_id="first"
        ) as stream:
            events = list(stream)
        self.assertEqual(
            [e["type"] for e in events], ["start"] + ["token"] * 4 + ["end"]
        )
        self.assertEqual([e.event_id for e in events], [1, 2, 3, 4, 5, 6])
        self.assertEqual(
            (stream.text, stream.session_id), ("Once upon a time", "first")
        )
        self.assertEqual(stream.end["metadata"]["run_id"], stream.run_id)
        again = admin().run_events(stream.run_id, after=3)
        self.assertEqual((again.wait(), again.last_event_id), (" a time", 6))

    def test_resumes_after_lost_connection(self):
        """A stream that is interrupted three times loses and repeats nothing."""
        proxy, client = self.proxied()
        stream = client.chat_stream(self.agent, SLOW)
        events = []
        for event in stream:
            events.append(event)
            if len(events) in (5, 20, 40):
                proxy.drop()
        self.assertEqual(stream.text, tokens(60))
        self.assertEqual("".join(e.get("content", "") for e in events), tokens(60))
        self.assertEqual([e.event_id for e in events], list(range(1, 63)))
        self.assertEqual(proxy.connections, 4)

    def test_lost_connection_without_reconnect(self):
        proxy, client = self.proxied()
        stream = client.chat_stream(self.agent, SLOW, reconnect=0)
        with self.assertRaises(agentarea.ConnectionFailed):
            for event in stream:
                if event.event_id == 5:
                    proxy.drop()
        self.assertEqual(
            admin().run_events(stream.run_id, after=stream.last_event_id).wait(),
            tokens(60)[len(stream.text) :],
        )

    def test_refreshes_expired_token(self):
        """A client with a refresh token continues the stream with a new token."""
        proxy = Proxy(server().listen)
        self.addCleanup(proxy.close)
        client = AgentAreaClient.login(
            proxy.url, "admin", "correct-horse-battery-staple"
        )
        stream = client.chat_stream(self.agent, SLOW)
        for event in stream:
            if event.event_id == 5:
                client._transport.token = "stale"
                proxy.drop()
        self.assertEqual(stream.text, tokens(60))

    def test_logout_during_stream(self):
        client = server().login()
        stream = client.chat_stream(self.agent, "/tokens 200 /delay 100ms")
        with self.assertRaises(agentarea.Unauthorized):
            for event in stream:
                if event.event_id == 5:
                    client.logout()
        self.assertEqual(admin().cancel_run(stream.run_id)["cancel_requested"], True)

    def test_run_error(self):
        stream = admin().chat_stream(self.agent, "/tokens 3 /error rate_limited")
        with self.assertRaises(agentarea.ServiceUnavailable) as caught:
            stream.wait()
        self.assertEqual(
            (stream.text, caught.exception.details["reason"]),
            (tokens(3), "rate_limited"),
        )
        with self.assertRaises(agentarea.UpstreamError):
            admin().chat_stream(self.agent, "/error context_too_long").wait()

    def test_rejected_request(self):
        with self.assertRaises(agentarea.NotFound):
            admin().chat_stream("agent-none", "Hello")
        with admin().chat_stream(self.agent, SLOW, session_id="one"):
            with self.assertRaises(agentarea.Conflict):
                admin().chat_stream(self.agent, "Hello", session_id="one")

    def test_close(self):
        stream = admin().chat_stream(self.agent, SLOW)
        for event in stream:
            if event.event_id == 3:
                break
        stream.close()
        self.assertEqual(list(stream), [])
        self.assertEqual(admin().run_events(stream.run_id).wait(), tokens(60))

    def test_killed_server(self):
        """After kill -9 and a restart of the server, the answer is complete."""
        own = Server()
        self.addCleanup(own.remove)
        client = own.login()
        agent = client.create_agent("a", "chat", {"model": "echo"})["id"]
        stream = client.chat_stream(agent, SLOW)
        events = []
        restarting = None
        for event in stream:
            events.append(event)
            if len(events) == 30:
                own.kill()
                restarting = threading.Thread(target=own.start)
                restarting.start()
        restarting.join()
        self.assertEqual(stream.text, tokens(60))
        self.assert_increasing([e.event_id for e in events])
        self.assertEqual(
            [e["drop_after"] for e in events if e["type"] == "restart"], [1]
        )
        self.assertEqual(
            client.chat_history(agent)["messages"][-1]["content"], tokens(60)
        )

    def test_restart_event(self):
        start = 'id: 1\ndata: {"type":"start","session_id":"s","run_id":"run-1"}'
        token = 'id: {0}\ndata: {{"type":"token","content":"{1}"}}'
        restart = 'id: 100\ndata: {"type":"restart","attempt":2,"drop_after":2}'
        end = 'id: 103\ndata: {"type":"end","message_id":"m","metadata":{}}'
        with Scripted(
            sse(
                start,
                ": still here",
                token.format(2, "a"),
                token.format(3, "b"),
                token.format(4, "cut"),
            ),
            sse(
                token.format(4, "again"),
                restart,
                token.format(101, "B"),
                'id: 102\r\ndata: {"type":"tok',
                end="",
            ),
            (503, {}, failure("SERVICE_UNAVAILABLE")),
            sse(
                'data: {"type":"error","error":{"code":"SERVICE_UNAVAILABLE","message":"stopping"}}'
            ),
            sse(token.format(102, "C").replace("\n", "\r\n") + "\r", end),
        ) as scripted:
            stream = AgentAreaClient(scripted.url, "t", retries=0).chat_stream("a", "b")
            self.assertEqual(stream.wait(), "aBC")
            self.assertEqual(
                [h.get("Last-Event-ID") for _, _, h, _ in scripted.requests],
                [None, "4", "101", "101", "101"],
            )
            self.assertEqual(
                {p for _, p, _, _ in scripted.requests[1:]}, {"/v1/runs/run-1/events"}
            )

    def test_lost_connection_before_first_event(self):
        """Without the run's id the stream cannot be resumed."""
        with Scripted(sse(": still here")) as scripted:
            with self.assertRaises(agentarea.ConnectionFailed):
                AgentAreaClient(scripted.url, "t").chat_stream("a", "b").wait()
            self.assertEqual(len(scripted.requests), 1)

    def test_task(self):
        task = admin().create_task("/tokens 5", self.agent)
        self.assertEqual(admin().task_events(task["id"]).wait(), tokens(5))
        self.assertEqual(admin().get_task(task["id"])["status"], "completed")


if __name__ == "__main__":
    unittest.main()
