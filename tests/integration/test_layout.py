"""The tree of the unit tests is the tree of floto."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tests" / "unit"
FILES = sorted(str(path.relative_to(UNIT)) for path in UNIT.rglob("test_*.py"))


def modules(folder: Path) -> set[str]:
    """The names of the modules and packages of a folder."""
    return {
        path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }


@pytest.mark.parametrize("file", FILES)
def test_unit_test_files_mirror_the_module_tree(file: str) -> None:
    path = Path(file)
    tested = path.stem.removeprefix("test_")
    folder = ROOT / "floto" / path.parent
    assert folder.is_dir()
    assert any(tested == name or tested.startswith(f"{name}_") for name in modules(folder))
