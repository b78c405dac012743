"""Sockets that servers listen on."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from attrs import define

from floto.core.errors import FlotoError

#: Connections that may wait until they are accepted; asyncio accepts as many before it counts them.
BACKLOG = 128


@define
class CannotListen(FlotoError):
    """An address that a server cannot or must not listen on, and the problem."""

    host: str
    port: int
    problem: str

    def __str__(self) -> str:
        """Return the address and the problem."""
        return f"cannot listen on {self.host}:{self.port}: {self.problem}"


def listening(
    host: str, port: int, *, anywhere: bool, remedy: str = "set --access-key and --secret-key"
) -> socket.socket:
    """Open a listening socket; port 0 means any free port. Without ``anywhere``, only on loopback."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if not anywhere and not ip_address(address[0]).is_loopback:
            problem = f"other machines can connect to this address; {remedy}"
            raise CannotListen(host, port, problem)
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
        # Accepted connections inherit this; without it, response bodies wait 40 ms for the ACK of the head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise CannotListen(host, port, error.strerror or str(error)) from None
    return listener


def url_of(host: str, listener: socket.socket) -> str:
    """Return the URL of a server on a socket, with the name by which its host was given."""
    port: int = listener.getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
