"""A page and its planes served to this machine alone, until somebody asks for an end."""

from __future__ import annotations

import re
import secrets
import sys
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

from augmentor.viewing.page import scene_page
from augmentor.viewing.scene import Looked
from data_adapters.errors import SystemRefused, UserError

HOST = "127.0.0.1"

LARGEST = 1 << 27
"""Pixels of a plane that a browser is given at once; a larger one is shown coarser."""


class Server(ThreadingHTTPServer):
    """Serves one file at a secret path of the loopback interface: whoever else uses this machine may not look.

    Nothing but GET is answered, and nothing but the page and its planes.
    """

    daemon_threads = True

    def __init__(self, looked: Looked, port: int = 0) -> None:
        """
        Raises:
            SystemRefused: if the port is taken.
        """
        largest = max(h * w for h, w in map(looked.shape, range(len(looked.planes))))
        self.looked = looked
        self.factor = next(factor for factor in range(1, largest + 1) if largest / factor**2 <= LARGEST)
        self.page = scene_page(looked, self.factor, [], serving=True).encode("utf-8", "backslashreplace")
        self.secret = secrets.token_urlsafe(16)
        self._reading = Lock()
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise SystemRefused(f"port {port} cannot be used ({error.strerror})", do="choose another --port") from error

    def until_interrupted(self) -> None:
        """Serve until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self.serve_forever()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of a browser that went away; anything else is a bug, and told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.secret}/"

    def plane(self, key: str) -> bytes:
        """The plane of a key as the page asks for it.

        Raises:
            KeyError: if there is none.
            UserError: if it cannot be read.
        """
        role, *numbers = key.split("-")
        if len(numbers) != 2 or not all(re.fullmatch("[0-9]{1,9}", number) for number in numbers):
            raise KeyError(key)
        # Adapters keep what they read last, and are not asked by two at once.
        with self._reading:
            return self.looked.packed(role, int(numbers[0]), int(numbers[1]), self.factor)


class Handler(BaseHTTPRequestHandler):
    """Answers a browser on this machine."""

    server: Server
    server_version = "augmentor"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, or one of its planes."""
        # Another site whose name leads here asks under that name.
        if self.headers.get("Host") not in (
            f"{HOST}:{self.server.server_port}",
            f"localhost:{self.server.server_port}",
        ):
            return self._refuse(HTTPStatus.FORBIDDEN)
        first, _, key = self.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(first.encode(), self.server.secret.encode()):
            return self._refuse(HTTPStatus.NOT_FOUND)
        if not key:
            return self._give(self.server.page, "text/html; charset=utf-8")
        try:
            return self._give(self.server.plane(key), "application/octet-stream")
        except KeyError:
            return self._refuse(HTTPStatus.NOT_FOUND)
        except UserError as error:
            return self._give(str(error).encode("utf-8", "replace"), "text/plain; charset=utf-8", HTTPStatus.GONE)

    def _give(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus) -> None:
        self._give(status.phrase.encode(), "text/plain; charset=utf-8", status)

    def log_message(self, *said: Any) -> None:
        """Nothing: the paths hold the secret."""
