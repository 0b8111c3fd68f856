"""Files: some megabytes there and back, cut connections, little memory."""

import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from .harness import HERE, AgentAreaClient, Proxy, Scripted, admin, server

import agentarea

SIZE = 8 << 20


class Files(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.path = pathlib.Path(self.dir.name, 'a "name" – ü.bin')
        self.content = os.urandom(SIZE)
        self.path.write_bytes(self.content)

    def test_there_and_back(self):
        file = admin().upload_file(self.path, metadata={"project": "x"})
        self.assertEqual((file["name"], file["size"]), (self.path.name, SIZE))
        self.assertEqual(file["sha256"], hashlib.sha256(self.content).hexdigest())
        back = pathlib.Path(self.dir.name, "back")
        self.assertEqual(admin().download_file(file["id"], back)["id"], file["id"])
        self.assertEqual(back.read_bytes(), self.content)
        stream = io.BytesIO()
        admin().download_file(file["id"], stream)
        self.assertEqual(stream.getvalue(), self.content)
        self.assertEqual(admin().read_file(admin().upload_file(b"")["id"]), b"")

    def test_sources(self):
        with open(self.path, "rb") as opened:
            opened.seek(SIZE - 3)
            file = admin().upload_file(opened)
        self.assertEqual((file["name"], file["size"]), (self.path.name, 3))
        read, write = os.pipe()
        with os.fdopen(write, "wb") as sink:
            sink.write(b"through a pipe")
        with os.fdopen(read, "rb") as source:
            file = admin().upload_file(source, name="pipe.txt")
        self.assertEqual(admin().read_file(file["id"]), b"through a pipe")

    def test_upload_with_a_stale_token(self):
        client = server().login()
        client._transport.token = "stale"
        self.assertEqual(client.upload_file(self.path)["size"], SIZE)

    def test_download_that_is_cut(self):
        """It goes on where it was."""
        # More than what may be on its way when each connection is cut.
        content = os.urandom(1 << 20) * 64
        file = admin().upload_file(content)
        proxy = Proxy(server().listen)
        self.addCleanup(proxy.close)
        client = AgentAreaClient(proxy.url, admin().token)
        back = io.BytesIO()

        class Target:
            cuts = 0

            def write(self, piece):
                back.write(piece)
                if self.cuts < 3 and proxy.connections > self.cuts:
                    self.cuts = proxy.connections
                    proxy.cut()

        client.download_file(file["id"], Target())
        self.assertEqual(back.getvalue(), content)
        self.assertEqual(proxy.connections, 4)

    def test_wrong_bytes(self):
        """What is not what was uploaded is told, and not kept."""
        info = {"id": "file-1", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
        target = pathlib.Path(self.dir.name, "kept")
        target.write_text("as it was")
        with Scripted((200, {}, info), (200, {}, b"abd")) as scripted:
            with self.assertRaises(agentarea.ChecksumMismatch) as caught:
                AgentAreaClient(scripted.url, "t").download_file("file-1", target)
        self.assertEqual(caught.exception.details, {"file_id": "file-1"})
        self.assertEqual(target.read_text(), "as it was")
        self.assertEqual(
            sorted(os.listdir(self.dir.name)), sorted([self.path.name, "kept"])
        )
        with Scripted((201, {}, info)) as scripted:
            with self.assertRaises(agentarea.ChecksumMismatch):
                AgentAreaClient(scripted.url, "t").upload_file(b"abd")

    def test_memory(self):
        """A file of 200 MiB goes there and back through 64 MiB of memory more."""
        big = pathlib.Path(self.dir.name, "big")
        with open(big, "wb") as file:
            file.truncate(200 << 20)
        program = (
            "import re, sys\n"
            f"sys.path.insert(0, {str(HERE.parent)!r})\n"
            "from agentarea import AgentAreaClient\n"
            "client = AgentAreaClient(sys.argv[1], sys.argv[2])\n"
            "client.me()\n"
            # The kernel's, in KiB; resource has the parent's in it.
            "def peak(): return int(re.search('VmHWM:\\\\s+(\\\\d+)', open('/proc/self/status').read())[1])\n"
            "before = peak()\n"
            "file = client.upload_file(sys.argv[3])\n"
            "client.download_file(file['id'], sys.argv[3] + '.back')\n"
            "client.delete_file(file['id'])\n"
            "print(peak() - before)\n"
        )
        done = subprocess.run(
            [
                sys.executable,
                "-B",
                "-c",
                program,
                server().url,
                admin().token,
                str(big),
            ],
            stdout=subprocess.PIPE,
            check=True,
        )
        self.assertLess(int(done.stdout), 64 << 10)
        self.assertEqual(os.path.getsize(f"{big}.back"), 200 << 20)


if __name__ == "__main__":
    unittest.main()
