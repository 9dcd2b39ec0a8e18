"""Ports of this machine for servers of tests."""

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """Give a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
