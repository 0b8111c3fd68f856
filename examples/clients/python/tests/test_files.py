"""Files: uploads and downloads, lost connections, memory use."""

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

    def test_upload_and_download(self):
        file = admin().upload_file(self.path, metadata={"project": "x"})
        self.assertEqual((file["name"], file["size"]), (self.path.name, SIZE))
        self.assertEqual(file["sha256"], hashlib.sha256(self.content).hexdigest())
        downloaded = pathlib.Path(self.dir.name, "downloaded")
        self.assertEqual(admin().download_file(file["id"], downloaded)["id"], file["id"])
        self.assertEqual(downloaded.read_bytes(), self.content)
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

    def test_interrupted_download(self):
        """An interrupted download is resumed."""
        # More than the data that may be in transit when a connection is dropped.
        content = os.urandom(1 << 20) * 64
        file = admin().upload_file(content)
        proxy = Proxy(server().listen)
        self.addCleanup(proxy.close)
        client = AgentAreaClient(proxy.url, admin().token)
        downloaded = io.BytesIO()

        class Target:
            drops = 0

            def write(self, chunk):
                downloaded.write(chunk)
                if self.drops < 3 and proxy.connections > self.drops:
                    self.drops = proxy.connections
                    proxy.drop()

        client.download_file(file["id"], Target())
        self.assertEqual(downloaded.getvalue(), content)
        self.assertEqual(proxy.connections, 4)

    def test_checksum_mismatch(self):
        """A file with wrong bytes raises an error and is not stored."""
        info = {"id": "file-1", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
        target = pathlib.Path(self.dir.name, "kept")
        target.write_text("old content")
        with Scripted((200, {}, info), (200, {}, b"abd")) as scripted:
            with self.assertRaises(agentarea.ChecksumMismatch) as caught:
                AgentAreaClient(scripted.url, "t").download_file("file-1", target)
        self.assertEqual(caught.exception.details, {"file_id": "file-1"})
        self.assertEqual(target.read_text(), "old content")
        self.assertEqual(
            sorted(os.listdir(self.dir.name)), sorted([self.path.name, "kept"])
        )
        with Scripted((201, {}, info)) as scripted:
            with self.assertRaises(agentarea.ChecksumMismatch):
                AgentAreaClient(scripted.url, "t").upload_file(b"abd")

    def test_memory(self):
        """Uploading and downloading 200 MiB needs less than 64 MiB of additional memory."""
        big = pathlib.Path(self.dir.name, "big")
        with open(big, "wb") as file:
            file.truncate(200 << 20)
        program = (
            "import re, sys\n"
            f"sys.path.insert(0, {str(HERE.parent)!r})\n"
            "from agentarea import AgentAreaClient\n"
            "client = AgentAreaClient(sys.argv[1], sys.argv[2])\n"
            "client.me()\n"
            # From the kernel, in KiB; the resource module includes the parent process.
            "def peak(): return int(re.search('VmHWM:\\\\s+(\\\\d+)', open('/proc/self/status').read())[1])\n"
            "before = peak()\n"
            "file = client.upload_file(sys.argv[3])\n"
            "client.download_file(file['id'], sys.argv[3] + '.downloaded')\n"
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
        self.assertEqual(os.path.getsize(f"{big}.downloaded"), 200 << 20)


if __name__ == "__main__":
    unittest.main()
