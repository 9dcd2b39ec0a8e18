"""Exchanges of a request and its answer that end in time, however slowly the other side goes.

The timeouts of an HTTP library are for one operation on the network: an answer that trickles in
byte by byte never exceeds them. Each thread has a line of its own, so the connection that a
request uses is known; a watch cuts it when the time of the whole exchange is over. It is a
module of its own, since it knows nothing of messages.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event as Flag
from threading import Lock, Thread, local
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx2

__all__ = ["ExchangeTimeout", "Exchanges"]


CONNECTED: Final = "connect_tcp.complete", "start_tls.complete"
"""Ends of the names of what httpcore2 tells when a connection was made, or became TLS."""
LOOK_SECONDS_MAX: Final = 1.0
LOOKS: Final = 10
"""So often within the time of an exchange the watch looks, a second apart at most."""


class ExchangeTimeout(Exception):  # noqa: N818 - as TimeoutError
    """An exchange was not over in time."""


class Line:
    """One connection to an address, used by one thread."""

    def __init__(self, client: "httpx2.Client") -> None:
        self.client: Final = client
        self._lock: Final = Lock()
        self._socket: socket.socket | None = None
        self._ends: float | None = None
        self._late = False

    def trace(self, happened: str, told: Mapping[str, Any]) -> None:
        """Take down which connection is used.

        Raises:
            ExchangeTimeout: when it took too long to make, so that nothing is sent over it.
        """
        if not happened.endswith(CONNECTED):
            return
        with self._lock:
            self._socket = told["return_value"].get_extra_info("socket")
            if self._ends is not None and monotonic() >= self._ends:
                self._late = True
                raise ExchangeTimeout

    @contextmanager
    def until(self, ends: float) -> Iterator[None]:
        """Bound what is exchanged within the block.

        Raises:
            ExchangeTimeout: when it was cut.
        """
        with self._lock:
            self._ends, self._late = ends, False
        try:
            yield
        except Exception as error:
            if self._late:
                raise ExchangeTimeout from error
            raise
        finally:
            with self._lock:
                self._ends = None

    def cut_where_late(self, now: float) -> None:
        """Cut the connection when its exchange takes too long."""
        with self._lock:
            if self._ends is not None and now >= self._ends:
                self._late = True
                if self._socket is not None:
                    with suppress(OSError):  # it may be closed already
                        socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


class Exchanges:
    """Requests to one address, each with so many seconds from its beginning to its answer."""

    def __init__(self, seconds: float) -> None:
        """Take how long an exchange may last.

        Raises:
            ImportError: when httpx2 is not installed.
        """
        import httpx2

        self._httpx: Final = httpx2
        self._seconds: Final = seconds
        self._trusted: Final = httpx2.create_ssl_context()
        self._here: Final = local()
        self._lines: list[Line] = []
        self._lock: Final = Lock()
        self._closed: Final = Flag()
        self._watch: Thread | None = None

    @contextmanager
    def post(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> "Iterator[httpx2.Response]":
        """Yield the answer to a request, of which only the head is read.

        Raises:
            ExchangeTimeout: when the answer has not come in time.
        """
        line = self._line()
        with (
            line.until(monotonic() + self._seconds),
            line.client.stream(
                "POST",
                url,
                content=body,
                headers=dict(headers),
                extensions={"trace": line.trace},
            ) as answer,
        ):
            yield answer

    def close(self) -> None:
        """Close the connections, and end the watch."""
        self._closed.set()
        if self._watch is not None:
            self._watch.join()
        for line in self._lines:
            line.close()

    def _line(self) -> Line:
        """Return the line of this thread."""
        line: Line | None = getattr(self._here, "line", None)
        if line is None:
            client = self._httpx.Client(
                verify=self._trusted,
                timeout=self._httpx.Timeout(self._seconds),
                follow_redirects=False,
                limits=self._httpx.Limits(max_connections=1, max_keepalive_connections=1),
            )
            line = self._here.line = Line(client)
            with self._lock:
                self._lines.append(line)
                if self._watch is None:
                    self._watch = Thread(target=self._watch_all, daemon=True)
                    self._watch.start()
        return line

    def _watch_all(self) -> None:
        while not self._closed.wait(min(self._seconds / LOOKS, LOOK_SECONDS_MAX)):
            with self._lock:
                lines = [*self._lines]
            now = monotonic()
            for line in lines:
                line.cut_where_late(now)
