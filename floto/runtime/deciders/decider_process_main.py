"""The main program of a decider in a separate process; ``decider_process`` starts it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from floto.core.errors import FlotoError
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.shapes import WorkflowType
from floto.core.visible import visible
from floto.logs import configure
from floto.runtime.deciders.decider import Decider

_WRONG = 2


def main() -> int:
    """Run the decider that the first line of standard input describes, until a signal or end of input."""
    settings = json.loads(sys.stdin.buffer.readline())
    configure(settings.pop("log_level"), json=settings.pop("log_format") == "json")
    try:
        decider = _decider(**settings)
        threading.Thread(target=_follow, args=(sys.stdin.fileno(), decider.stop), daemon=True).start()
        decider.run()
    except FlotoError as error:
        sys.stderr.write(f"floto decider: {visible(str(error))}\n")
        return _WRONG
    return 0


def _decider(spec: Any, specs: list[Any], **settings: Any) -> Decider:
    return Decider(
        None if spec is None else CODEC.structure(spec),
        specs={WorkflowType(name, version): CODEC.structure(own) for name, version, own in specs},
        **settings,
    )


def _follow(parent: int, stop: Callable[[], None]) -> None:
    # The input ends when the parent process ends; this process then stops too.
    while os.read(parent, 1024):
        pass
    stop()


if __name__ == "__main__":
    sys.exit(main())
