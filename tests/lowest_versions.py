"""Print the lowest versions that ``pyproject.toml`` allows of the packages that users install.

    python tests/lowest_versions.py > lowest.txt
    python -m venv lowest && lowest/bin/pip install -c lowest.txt -e '.[dev]' && lowest/bin/pytest

The lines are constraints of pip. Tools that only floto's own development needs are not among them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[1]
#: The extras that users install.
_EXTRAS = ("server", "pictures", "ui", "metrics", "traces", "testing")
_MINIMUM = re.compile(r"([\w-]+)(?:\[\w+\])?>=([\w.]+)")


def constraints() -> list[str]:
    """Return a constraint for each package with a minimum."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = [each for name in _EXTRAS for each in project["optional-dependencies"][name]]
    found = [_MINIMUM.match(each) for each in (*project["dependencies"], *extras)]
    return [f"{each[1]}=={each[2]}" for each in found if each is not None]


if __name__ == "__main__":
    print("\n".join(constraints()))
