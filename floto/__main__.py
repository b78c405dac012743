"""``python -m floto``: the same as the command ``floto``."""

from __future__ import annotations

from floto.runtime.cli import main

main()
