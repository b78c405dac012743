"""Wake-ups between the processes on one database: a datagram when a commit leaves tasks for others.

SQLite cannot notify another process of a commit. A process that looks for commits often enough to see a task
within milliseconds would use a processor for nothing. So each process has a socket beside its lease, and one
that commits tasks which none of its own polls takes sends a datagram to the others. A datagram that is lost
costs no more than the next look, some hundredths of a second later.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from time import monotonic

from floto import forks
from floto.adapters.processes.leases import Leases

#: Seconds for which the list of the other processes is used again.
_LIST_SECONDS = 1.0
_SUFFIX = ".sock"


class Wakeups:
    """The socket of one process.

    Args:
        leases: The leases of the database, with that of this process; None if there are no other processes.
    """

    def __init__(self, leases: Leases | None) -> None:
        self._socket: socket.socket | None = None
        #: Not the socket above, since a thread that waits there sets how long any call of it waits.
        self._sender: socket.socket | None = None
        self._others: tuple[str, ...] = ()
        self._listed_at = -_LIST_SECONDS
        self._path = None if leases is None else leases.path.with_suffix(_SUFFIX)
        if leases is not None and self._path is not None:
            with suppress(OSError):
                self._bind(self._path, leases.mode)
        forks.let_go_in_children(self)

    def _bind(self, path: Path, mode: int) -> None:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # Too long a path is an error: then this process looks by itself.
            found.bind(str(path))
            path.chmod(mode)
        except OSError:
            found.close()
            raise
        self._socket, self._sender = found, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)  # noqa: FBT003 - the standard library's own parameter

    @property
    def is_listening(self) -> bool:
        """True if other processes can wake this one."""
        return self._socket is not None

    def after_fork(self) -> None:
        """Leave the socket to the parent; called in a forked child."""
        self._path = None
        self.close()

    def wait(self, seconds: float) -> bool:
        """Wait until another process has left tasks, at most ``seconds``; return True if one has."""
        if self._socket is None:
            return False
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(1)
            self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own parameter
            with suppress(OSError):
                while self._socket.recv(1):
                    pass
        except OSError:
            return False
        return True

    def send(self) -> None:
        """Wake the other processes."""
        if self._sender is None:
            return
        if monotonic() - self._listed_at >= _LIST_SECONDS:
            self._others, self._listed_at = self._list(), monotonic()
        for path in self._others:
            with suppress(OSError):
                # One whose buffer is full will look anyway.
                self._sender.sendto(b"\0", path)

    def _list(self) -> tuple[str, ...]:
        if self._path is None:
            return ()
        own, directory = self._path.name, self._path.parent
        with suppress(OSError):
            return tuple(str(path) for path in directory.glob(f"*{_SUFFIX}") if path.name != own)
        return ()

    def close(self) -> None:
        """Close the sockets and delete the file."""
        sockets = self._socket, self._sender
        self._socket = self._sender = None
        for each in filter(None, sockets):
            each.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
