"""Notice of the changes of a file, by any process, for the price of one read of its header."""

from __future__ import annotations

from threading import Lock

from floto.adapters.sqlite.storage.database import connect_reading
from floto.adapters.sqlite.storage.schema import Sql


class Changes:
    """The changes of one file, as a connection of its own sees them; any thread may ask.

    Args:
        path: The file.

    Raises:
        ServiceError: if it is not a floto database, or of another version.
    """

    def __init__(self, path: str) -> None:
        self._db = connect_reading(path)
        self._lock = Lock()

    def version(self) -> int:
        """Return a number that is another one after each commit of another connection."""
        with self._lock:
            found: int = self._db.execute(Sql.VERSION).fetchone()[0]
        return found
