"""A scripted HTTP server on loopback, for real clients of boto3."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import frozen

from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client


@frozen
class Answer:
    """An HTTP response after ``seconds``; ``Content-Length`` counts ``missing`` bytes that are not sent."""

    status: int = 200
    kind: str | None = "application/x-amz-json-1.0"
    body: bytes = b""
    missing: int = 0
    request_id: str | None = None
    seconds: float = 0

    @property
    def headers(self) -> dict[str, str]:
        given = {"Content-Type": self.kind, "x-amzn-RequestId": self.request_id}
        length = {} if self.status == 204 else {"Content-Length": str(len(self.body) + self.missing)}
        return {name: value for name, value in given.items() if value is not None} | length


@contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that answers by script; the last answer repeats."""
    seen: list[str] = []
    left = list(answers)
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            seen.append((self.headers["X-Amz-Target"] or self.command).rpartition(".")[2])
            answer = left.pop(0) if len(left) > 1 else left[0]
            is_over.wait(answer.seconds)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()


@contextmanager
def connected(*answers: Answer, repeat: Any = None) -> Iterator[tuple[SwfService, list[str]]]:
    """A service behind a real client of boto3, and the operations that its scripted server has seen."""
    with scripted(*answers) as (url, seen):
        service = SwfService(make_client(None, url, on_this_machine=True), "d", repeat=repeat)
        yield service, seen
        service.close()


def saying(body: Any, status: int = 200) -> Answer:
    return Answer(status, body=json.dumps(body).encode())


def refusing(code: str, message: str = "no", status: int = 400) -> Answer:
    return saying({"__type": f"com.amazonaws.swf.base.model#{code}", "message": message}, status)


SLOW_DOWN = refusing("ThrottlingException")
STARTED = saying({"runId": "r"})
PAGE = b"<html><body>please log in</body></html>"
LOGIN = Answer(200, "text/html", PAGE)
IDLE = saying({"startedEventId": 0})
HANGING = Answer(seconds=600)
