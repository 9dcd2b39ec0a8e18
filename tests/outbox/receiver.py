"""A receiver of webhooks, to be run as a process of its own, killed and started again.

    python -m outbox.receiver PORT ORDERS

Each message is a line on its output before it is answered: its id, subject, place in the order,
and how it is answered. The file ORDERS says how, as a JSON object: the `status` and `headers`,
for all or for the types and ids that are `refused`. Without it everything is taken with 204.
`ready` and the port is the first line; whoever gets anything finds an empty object below all
that was taken before.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["TAKEN", "main"]

TAKEN = 204


def main(port: str, orders: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told, ordered = json.loads(body), _orders(Path(orders))
            refused = ordered.get("refused")
            obeys = refused is None or told["type"] in refused or told["id"] in refused
            status = ordered.get("status", TAKEN) if obeys else TAKEN
            note = {
                "id": told["id"],
                "type": told["type"],
                "subject": told["subject"],
                "sequence": int(told["sequence"]),
                "status": status,
                "path": self.path,
                "body": body.decode(),
                "headers": {name.lower(): value for name, value in self.headers.items()},
            }
            os.write(1, json.dumps(note).encode() + b"\n")
            self.send_response(status)
            for name, value in ordered.get("headers", {}).items() if obeys else ():
                self.send_header(name, value)
            if status != TAKEN:
                self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """Say that all before it is on the output."""
            os.write(1, b"{}\n")
            self.send_response(TAKEN)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """Print nothing where whoever sends was killed."""

    server = Server(("127.0.0.1", int(port)), Handler)
    os.write(1, f"ready {server.server_address[1]}\n".encode())
    server.serve_forever()


def _orders(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
