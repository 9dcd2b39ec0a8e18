"""A receiver of webhooks, to be run as a process of its own, killed and started again.

    python -m receiver PORT JOURNAL [ORDERS]

Each message is written to the journal before it is answered: its id, subject and position. What
the file ORDERS holds tells how it answers, by a JSON object: the status, headers, and the types
of messages that are refused. Without it everything is taken with 204. It says `ready` and its
port when it listens.
"""

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = ["main"]


def main(port: str, journal: str, orders: str = "") -> None:
    written = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    one_at_a_time = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told = json.loads(body)
            ordered = _orders(orders)
            refused = ordered.get("refused")
            status, headers = 204, {}
            if refused is None or told["type"] in refused or told["id"] in refused:
                status = ordered.get("status", 204)
                headers = ordered.get("headers", {})
            note = {
                "id": told["id"],
                "type": told["type"],
                "subject": told["subject"],
                "sequence": int(told["sequence"]),
                "status": status,
                "body": body.decode() if ordered.get("whole") else "",
                "headers": dict(self.headers) if ordered.get("whole") else {},
            }
            with one_at_a_time:
                os.write(written, json.dumps(note).encode() + b"\n")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 64

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            super().server_bind()

    server = Server(("127.0.0.1", int(port)), Handler)
    sys.stdout.write(f"ready {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


def _orders(file: str) -> dict[str, Any]:
    if not file or not Path(file).exists():
        return {}
    found: dict[str, Any] = json.loads(Path(file).read_text())
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
