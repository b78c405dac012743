"""Check the kit's invariants against floto with one mutant in place, in a separate process.

    python -m tests.mutation.runner SECONDS [MODULE TEXT]

Prints one line of JSON: how it was detected (``invariant``, ``crash``, ``hang`` or null), the message,
and the numbers of runs and seconds. Without a mutant, it checks floto as it is.

The model of SWF keeps its original modules, ``state`` among them: it stands for the service, which a
bug of a decider does not affect. The rest of floto is reloaded with the mutant, the kit included.
"""

from __future__ import annotations

import ast
import importlib
import json
import resource
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType
from typing import Any

from tests.mutation.catalog import MODULES
from tests.mutation.operators import Mutant, mutants

#: Modules of the model of SWF and of its requests: none of them depends on the mutated modules.
_KEPT = ("engine", "swf", "payloads", "errors", "frozen", "hosts", "visible")
_MEMORY = 3 * 2**30
#: The status of a process that was asked for a mutant that there is not: no verdict.
UNKNOWN = 3


class Mutated(SourceFileLoader):
    """Loads a module with a mutant in place."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        """The code of the changed tree; what is compiled already is of no use."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        _find(mutants(fullname.rpartition(".")[2], tree), self.text).apply()
        return compile(tree, path, "exec")


def _find(found: list[Mutant], text: str) -> Mutant:
    for mutant in found:
        if mutant.text == text:
            return mutant
    print(f"there is no such mutant: {text}", file=sys.stderr)
    raise SystemExit(UNKNOWN)


class Finder(MetaPathFinder):
    """Finds one module with a mutant in it, and leaves the others to those behind it."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The module that is to be changed."""
        found = PathFinder.find_spec(fullname, path, target) if fullname == self.name else None
        if found is not None and found.origin is not None:
            found.loader = Mutated(fullname, found.origin, self.text)
        return found


def put_in_place(module: str, text: str) -> None:
    """Reload floto with a mutant, except for the model of SWF."""
    importlib.import_module("floto.core.engine.world")
    for name in [name for name in sys.modules if name.partition(".")[0] == "floto" and not _is_kept(name)]:
        package, _, attribute = name.rpartition(".")
        vars(sys.modules.get(package, sys)).pop(attribute, None)
        del sys.modules[name]
    place = MODULES[module].removesuffix(".py").replace("/", ".")
    sys.meta_path.insert(0, Finder(f"floto.core.{place}", text))


def _is_kept(name: str) -> bool:
    return name == "floto.core" or name.removeprefix("floto.core.").partition(".")[0] in _KEPT


def main(seconds: float, module: str = "", text: str = "") -> dict[str, Any]:
    """Return how a mutant is detected, and after how many seconds."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    began = time.process_time()
    seen: dict[str, Any]
    try:
        if module:
            put_in_place(module, text)
        seen = importlib.import_module("tests.mutation.examination").examine(seconds, module)
    except Exception as error:  # noqa: BLE001 - whatever a mutant breaks at import
        seen = {"by": "crash", "what": f"{type(error).__name__}: {error}", "runs": 0}
    return {**seen, "seconds": round(time.process_time() - began, 2)}


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]), *sys.argv[2:])))
