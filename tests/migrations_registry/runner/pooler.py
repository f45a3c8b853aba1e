"""A transaction pooler in a few lines: clients share one server session, and each transaction may belong to another client."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

READY = ord("Z")
IDLE = ord("I")


class TransactionPooler:
    """Speaks as much of the wire protocol as it takes: it forwards messages and watches for ReadyForQuery."""

    def __init__(self, server: str) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(server)
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._greeting = b""

    def start(self, user: str, database: str) -> None:
        body = struct.pack("!i", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
        self._server.sendall(struct.pack("!i", len(body) + 4) + body)
        while True:
            kind, message = _read(self._server)
            if kind == ord("K"):  # clients are told a made-up process id, as poolers do
                message = message[:5] + struct.pack("!ii", 999_999, 1)
            self._greeting += message
            if kind == READY:
                break
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, struct.error):
            while True:
                (length,) = struct.unpack("!i", _exactly(client, 4))
                (code,) = struct.unpack("!i", _exactly(client, length - 4)[:4])
                if code == 196608:
                    break
                client.sendall(b"N")  # neither TLS nor GSS
            client.sendall(self._greeting)
            while self._transaction(client):
                pass
        client.close()

    def _transaction(self, client: socket.socket) -> bool:
        """From a client's first message until the server is idle again; then the session is anybody's."""
        kind, message = _read(client)
        if kind == ord("X"):
            return False
        with self._turn:
            while True:
                self._server.sendall(message)
                if kind in (ord("Q"), ord("S")) and self._answer(client) == IDLE:
                    return True
                kind, message = _read(client)

    def _answer(self, client: socket.socket) -> int:
        while True:
            kind, message = _read(self._server)
            client.sendall(message)
            if kind == READY:
                return message[5]


def _read(side: socket.socket) -> tuple[int, bytes]:
    head = _exactly(side, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head[0], head + _exactly(side, length - 4)


def _exactly(side: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = side.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


@contextmanager
def transaction_pooler(*, directory: str, port: int, user: str, database: str) -> Iterator[str]:
    """The URL of a pooler in front of a server that listens in ``directory``."""
    pooler = TransactionPooler(f"{directory}/.s.PGSQL.{port}")
    pooler.start(user, database)
    try:
        yield f"postgresql://{user}@127.0.0.1:{pooler.port}/{database}?sslmode=disable&gssencmode=disable"
    finally:
        pooler.stop()
