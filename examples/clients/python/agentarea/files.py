"""Uploads and downloads of files: multipart forms that are sent in chunks, and hashes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
from typing import Any, BinaryIO, Iterator, Mapping, Optional, Tuple, Union

CHUNK_SIZE = 1 << 18

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO]
Target = Union[str, "os.PathLike[str]", BinaryIO]


class Form:
    """A multipart form with a file. It is an iterable of chunks, so that the file is
    never completely in memory. Its length is only known for a seekable file.

    sha256: the hash of the file's bytes after they have been read.
    """

    def __init__(
        self, file: BinaryIO, name: str, metadata: Optional[Mapping[str, Any]]
    ) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file
        self._start, self.repeatable = _position(file)
        self.boundary = secrets.token_hex(16)
        head = ""
        if metadata is not None:
            head = (
                f"--{self.boundary}\r\n"
                'Content-Disposition: form-data; name="metadata"\r\n'
                "Content-Type: application/json\r\n\r\n"
                f"{json.dumps(metadata)}\r\n"
            )
        head += (
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = head.encode("utf-8")
        self._tail = f"\r\n--{self.boundary}--\r\n".encode("ascii")

    def chunks(self) -> Union["Form", Iterator[bytes]]:
        """Returns the chunks of the form from its start, for each attempt."""
        if self.repeatable:
            self._file.seek(self._start)
            return self
        return iter(self)

    def __len__(self) -> int:
        end = self._file.seek(0, io.SEEK_END)
        self._file.seek(self._start)
        return len(self._head) + end - self._start + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self.sha256 = hashlib.sha256()
        yield self._head
        while True:
            chunk = self._file.read(CHUNK_SIZE)
            if not chunk:
                break
            self.sha256.update(chunk)
            yield chunk
        yield self._tail


@contextlib.contextmanager
def open_source(source: Source, name: Optional[str]) -> Iterator[Tuple[BinaryIO, str]]:
    """Yields a readable file for a source, and its name."""
    if isinstance(source, (bytes, bytearray)):
        yield io.BytesIO(source), name or "file"
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            yield file, name or os.path.basename(os.fspath(source))
    else:
        path = getattr(source, "name", None)
        yield source, name or (
            os.path.basename(path) if isinstance(path, str) else ""
        ) or "file"


def _position(file: BinaryIO) -> Tuple[int, bool]:
    """Returns the current position of a file, and whether it is seekable."""
    try:
        if file.seekable():
            return file.tell(), True
    except (AttributeError, OSError):
        pass
    return 0, False


def _quoted(name: str) -> str:
    # A line break would start a new header, and the server rejects such names.
    return (
        name.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\r", " ")
        .replace("\n", " ")
    )
