"""The bytes of files on their way: forms that are sent in pieces, and hashes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
from typing import Any, BinaryIO, Iterator, Mapping, Optional, Tuple, Union

PIECE = 1 << 18

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO]
Target = Union[str, "os.PathLike[str]", BinaryIO]


class Form:
    """A file as a form of two parts. As an iterable of pieces it is sent without
    being whole in memory; its length is told where it is known.

    sha256: of the file's bytes, once they have been read.
    """

    def __init__(
        self, file: BinaryIO, name: str, metadata: Optional[Mapping[str, Any]]
    ) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file
        self._begin, self.repeatable = _position(file)
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

    def pieces(self) -> Union["Form", Iterator[bytes]]:
        """The form from its beginning, for another try as well."""
        if self.repeatable:
            self._file.seek(self._begin)
            return self
        return iter(self)

    def __len__(self) -> int:
        end = self._file.seek(0, io.SEEK_END)
        self._file.seek(self._begin)
        return len(self._head) + end - self._begin + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self.sha256 = hashlib.sha256()
        yield self._head
        while True:
            piece = self._file.read(PIECE)
            if not piece:
                break
            self.sha256.update(piece)
            yield piece
        yield self._tail


@contextlib.contextmanager
def opened(source: Source, name: Optional[str]) -> Iterator[Tuple[BinaryIO, str]]:
    """Gives what a source can be read by, and its name."""
    if isinstance(source, (bytes, bytearray)):
        yield io.BytesIO(source), name or "file"
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            yield file, name or os.path.basename(os.fspath(source))
    else:
        known = getattr(source, "name", None)
        yield source, name or (
            os.path.basename(known) if isinstance(known, str) else ""
        ) or "file"


def _position(file: BinaryIO) -> Tuple[int, bool]:
    """Where a file is read from, and whether that can be done twice."""
    try:
        if file.seekable():
            return file.tell(), True
    except (AttributeError, OSError):
        pass
    return 0, False


def _quoted(name: str) -> str:
    # Line breaks would be headers; the server refuses such a name.
    return (
        name.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\r", " ")
        .replace("\n", " ")
    )
