"""Tokens, retries, timeouts and errors, on a scripted server."""

import socket
import threading
import time
import unittest

from .harness import AgentAreaClient, Scripted, Server, admin, failure, server

import agentarea

OK = (200, {}, {"id": "agent-1"})
TASK = (201, {}, {"id": "task-1"})
BUSY = (429, {"Retry-After": "0"}, failure("RATE_LIMITED"))
DOWN = (503, {"Retry-After": "0"}, failure("SERVICE_UNAVAILABLE"))


class Retries(unittest.TestCase):
    def call(self, script, do, **options):
        """Returns the result or the error of a call, and the requests."""
        with Scripted(*script) as scripted, AgentAreaClient(
            scripted.url, "t", **options
        ) as client:
            try:
                return do(client), scripted.requests
            except agentarea.AgentAreaError as error:
                return error, scripted.requests

    def test_too_many_requests(self):
        for do in (
            lambda c: c.get_agent("agent-1"),
            lambda c: c.create_agent("a", "chat", {}),
            lambda c: c.change_agent("agent-1", {}),
            lambda c: c.chat("agent-1", "Hello"),
        ):
            got, requests = self.call([BUSY, BUSY, OK], do)
            self.assertEqual(got, {"id": "agent-1"})
            self.assertEqual(len(requests), 3)
            self.assertEqual(requests[0][3], requests[2][3])

    def test_waits_for_retry_after(self):
        start = time.monotonic()
        self.call(
            [(429, {"Retry-After": "1"}, failure("RATE_LIMITED")), OK], lambda c: c.me()
        )
        self.assertGreater(time.monotonic() - start, 1)

    def test_gives_up_after_retries(self):
        got, requests = self.call([BUSY], lambda c: c.me())
        self.assertIsInstance(got, agentarea.RateLimited)
        self.assertEqual(
            (got.status, got.code, got.retry_after, got.request_id),
            (429, "RATE_LIMITED", 0, "req-1"),
        )
        self.assertEqual(len(requests), 4)
        got, requests = self.call([BUSY], lambda c: c.me(), retries=0)
        self.assertIsInstance(got, agentarea.RateLimited)
        self.assertEqual(len(requests), 1)

    def test_does_not_wait_longer_than_a_minute(self):
        got, requests = self.call(
            [(429, {"Retry-After": "3600"}, failure("RATE_LIMITED"))], lambda c: c.me()
        )
        self.assertEqual((got.retry_after, len(requests)), (3600, 1))

    def test_retry_after_date(self):
        date = {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}
        got, _ = self.call(
            [(429, date, failure("RATE_LIMITED"))], lambda c: c.me(), retries=0
        )
        self.assertEqual(got.retry_after, 0)

    def test_unavailable_and_lost_connection(self):
        for bad in (DOWN, None):
            got, requests = self.call([bad, OK], lambda c: c.get_agent("agent-1"))
            self.assertEqual((got, len(requests)), ({"id": "agent-1"}, 2))
            got, requests = self.call([bad, OK], lambda c: c.chat("agent-1", "Hello"))
            self.assertIsInstance(
                got, (agentarea.ServiceUnavailable, agentarea.ConnectionFailed)
            )
            self.assertEqual(len(requests), 1)

    def test_task_is_created_once(self):
        got, requests = self.call(
            [None, DOWN, TASK], lambda c: c.create_task("t", "agent-1")
        )
        self.assertEqual(got, {"id": "task-1"})
        keys = {headers["Idempotency-Key"] for _, _, headers, _ in requests}
        self.assertEqual((len(requests), len(keys)), (3, 1))
        _, others = self.call([TASK], lambda c: c.create_task("t", "agent-1"))
        self.assertNotIn(others[0][2]["Idempotency-Key"], keys)

    def test_delete_with_lost_response(self):
        not_found = (404, {}, failure("NOT_FOUND"))
        got, _ = self.call([None, not_found], lambda c: c.delete_agent("agent-1"))
        self.assertIsNone(got)
        got, _ = self.call([not_found], lambda c: c.delete_agent("agent-1"))
        self.assertIsInstance(got, agentarea.NotFound)

    def test_timeout(self):
        got, requests = self.call([2.0], lambda c: c.me(), timeout=0.2, retries=1)
        self.assertIsInstance(got, agentarea.TimedOut)
        self.assertEqual((got.code, got.status, len(requests)), ("TIMEOUT", None, 2))

    def test_closed_port(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with self.assertRaises(agentarea.ConnectionFailed) as caught:
            AgentAreaClient(f"http://127.0.0.1:{port}", retries=0).health()
        self.assertEqual(caught.exception.code, "CONNECTION_FAILED")

    def test_not_agentarea(self):
        got, _ = self.call([(200, {}, b"<html>")], lambda c: c.me())
        self.assertEqual(got.code, "INVALID_RESPONSE")
        got, _ = self.call(
            [(502, {"X-Request-ID": "req-9"}, b"<html>")], lambda c: c.me()
        )
        self.assertIsInstance(got, agentarea.UpstreamError)
        self.assertEqual(got.request_id, "req-9")
        got, _ = self.call([(418, {}, b"")], lambda c: c.me())
        self.assertEqual((got.status, got.code), (418, "INTERNAL_ERROR"))

    def test_incomplete_response(self):
        got, requests = self.call(
            [(200, {"Content-Length": "100"}, b'{"id":')], lambda c: c.chat("a", "b")
        )
        self.assertIsInstance(got, agentarea.ConnectionFailed)
        self.assertEqual(len(requests), 1)

    def test_headers(self):
        limits = {
            "X-RateLimit-Limit": "100",
            "X-RateLimit-Remaining": "7",
            "X-RateLimit-Reset": "42",
            "ETag": '"v1"',
        }
        with Scripted((200, {**limits, "X-Request-ID": "req-2"}, {})) as scripted:
            client = AgentAreaClient(scripted.url + "/", "key")
            self.assertEqual(client.rate_limit, {})
            got = client.change_agent("a/../b?", {}, if_match='"v0"')
            self.assertEqual((got.etag, got.request_id), ('"v1"', "req-2"))
            self.assertEqual(
                client.rate_limit, {"limit": 100, "remaining": 7, "reset": 42}
            )
            method, path, headers, _ = scripted.requests[0]
            self.assertEqual((method, path), ("PATCH", "/v1/agents/a%2F..%2Fb%3F"))
            self.assertEqual(
                (headers["Authorization"], headers["If-Match"]), ("Bearer key", '"v0"')
            )


class RateLimit(unittest.TestCase):
    def test_waits_and_succeeds(self):
        """A client that exceeds the rate limit waits and gets all responses."""
        own = Server(
            AGENTAREA_RATE_LIMIT_BURST="3", AGENTAREA_RATE_LIMIT_PER_MINUTE="1000"
        )
        self.addCleanup(own.remove)
        with own.login() as client:
            for _ in range(12):
                self.assertEqual(client.me()["username"], "admin")
            self.assertEqual(client.rate_limit["limit"], 1000)
            impatient = AgentAreaClient(own.url, client.token, retries=0)
            with self.assertRaises(agentarea.RateLimited) as caught:
                for _ in range(1000):
                    impatient.me()
            self.assertGreater(caught.exception.retry_after, 0)


class EveryError(unittest.TestCase):
    def test_has_its_class(self):
        for status, code, kind in (
            (400, "VALIDATION_ERROR", agentarea.ValidationError),
            (401, "UNAUTHORIZED", agentarea.Unauthorized),
            (403, "FORBIDDEN", agentarea.Forbidden),
            (404, "NOT_FOUND", agentarea.NotFound),
            (405, "METHOD_NOT_ALLOWED", agentarea.MethodNotAllowed),
            (409, "CONFLICT", agentarea.Conflict),
            (412, "PRECONDITION_FAILED", agentarea.PreconditionFailed),
            (413, "PAYLOAD_TOO_LARGE", agentarea.PayloadTooLarge),
            (415, "UNSUPPORTED_MEDIA_TYPE", agentarea.UnsupportedMediaType),
            (429, "RATE_LIMITED", agentarea.RateLimited),
            (500, "INTERNAL_ERROR", agentarea.InternalError),
            (502, "UPSTREAM_ERROR", agentarea.UpstreamError),
            (503, "SERVICE_UNAVAILABLE", agentarea.ServiceUnavailable),
            (504, "UPSTREAM_TIMEOUT", agentarea.UpstreamTimeout),
            (507, "INSUFFICIENT_STORAGE", agentarea.InsufficientStorage),
        ):
            with self.subTest(code), Scripted(
                (status, {}, failure(code, field="name", issue="is wrong"))
            ) as scripted:
                with self.assertRaises(kind) as caught:
                    AgentAreaClient(scripted.url, "t", retries=0).me()
                error = caught.exception
                self.assertEqual(
                    (error.code, error.status, error.field), (code, status, "name")
                )
                self.assertIn("is wrong", str(error))


class Tokens(unittest.TestCase):
    def test_refresh_by_many_threads(self):
        """If ten threads find the token expired, thread of them refreshes it."""
        received_tokens = []
        good = admin()
        with server().login(on_tokens=received_tokens.append) as client:
            self.assertEqual(len(received_tokens), 1)
            client._transport.token = "stale"
            names = []
            threads = [
                threading.Thread(target=lambda: names.append(client.me()["username"]))
                for _ in range(10)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(names, ["admin"] * 10)
            self.assertEqual(len(received_tokens), 2)
            self.assertEqual(received_tokens[1]["refresh_token"], client.refresh_token)
            client.refresh()
            self.assertEqual(len(received_tokens), 3)
            client.logout()
            self.assertEqual((client.token, client.refresh_token), (None, None))
            with self.assertRaises(agentarea.Unauthorized):
                client.me()
        good.me()

    def test_invalid_refresh_token(self):
        client = AgentAreaClient(server().url, "stale", refresh_token="rt_login-1.AAAA")
        for _ in range(2):
            with self.assertRaises(agentarea.Unauthorized):
                client.me()
        self.assertIsNone(client.refresh_token)

    def test_new_token_is_rejected(self):
        """A rejected new token is not refreshed again."""
        unauthorized = (401, {}, failure("UNAUTHORIZED"))
        fresh = (200, {}, {"access_token": "b", "refresh_token": "r2"})
        with Scripted(unauthorized, fresh, unauthorized, OK) as scripted:
            with self.assertRaises(agentarea.Unauthorized):
                AgentAreaClient(scripted.url, "a", refresh_token="r").me()
            self.assertEqual(
                [path for _, path, _, _ in scripted.requests],
                ["/v1/auth/me", "/v1/auth/refresh", "/v1/auth/me"],
            )
            self.assertNotIn("Authorization", scripted.requests[1][2])

    def test_api_key_is_not_refreshed(self):
        with Scripted((401, {}, failure("UNAUTHORIZED"))) as scripted:
            with self.assertRaises(agentarea.Unauthorized):
                AgentAreaClient(scripted.url, "key").me()
            self.assertEqual(len(scripted.requests), 1)

    def test_wrong_password(self):
        with self.assertRaises(agentarea.Unauthorized):
            AgentAreaClient.login(server().url, "nobody", "wrong-password-of-nobody")


if __name__ == "__main__":
    unittest.main()
