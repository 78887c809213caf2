"""A line to a server that breaks after so many bytes, and stays broken until it is mended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

CHUNK = 64 * 1024


class CuttingLine:
    """Passes on what clients and a server of this machine say to each other.

    Attributes:
        port: where clients connect.
        left: how many bytes still pass, in both directions together; None for all.
    """

    def __init__(self, server: int, left: int | None = None) -> None:
        self.server, self.left = server, left
        self._lock, self._open = threading.Lock(), True
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._passing: list[threading.Thread] = []
        self._ends: list[socket.socket] = [self._listening]

    def __enter__(self) -> CuttingLine:
        self._accepting.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._open, self.left = False, 0
        with socket.socket() as last:  # wakes the thread that accepts
            last.connect_ex(("127.0.0.1", self.port))
        self._accepting.join()
        for thread in self._passing:
            thread.join()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        while self._open:
            client, _ = self._listening.accept()
            server = socket.socket()
            self._ends += [client, server]
            if self.left == 0 or server.connect_ex(("127.0.0.1", self.server)) != 0:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pass, args=pair)
                thread.start()
                self._passing.append(thread)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(0.2)
        with suppress(OSError):
            while self.left != 0:
                try:
                    data = source.recv(CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    break
                target.sendall(data[: self._granted(len(data))])
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _granted(self, wanted: int) -> int:
        with self._lock:
            if self.left is None:
                return wanted
            granted = min(wanted, self.left)
            self.left -= granted
            return granted
