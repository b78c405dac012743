"""Load specs, codecs and activities from files and modules that a command names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from attrs import define

from floto.core import strict_json
from floto.core.decide.decide import spec_of
from floto.core.errors import FlotoError, SpecError
from floto.core.replay.saved_history import Saved
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.schedule import TAG, Schedule
from floto.core.state.fold import fold
from floto.core.swf.identifiers import shown
from floto.files import OWN_FILES

T = TypeVar("T")


@define
class LoadError(FlotoError):
    """A file, module or object that cannot be loaded, and the problem."""

    source: str
    problem: str

    def __str__(self) -> str:
        """Return the source and the problem."""
        return f"cannot load {self.source}: {self.problem}"


def load_spec(source: str, codec: Codec = CODEC) -> DeciderSpec:
    """Load a spec from ``FILE.json``, which ``codec`` reads, ``FILE.py:name`` or ``module:name``.

    Raises ``LoadError``, or ``SpecError`` if the spec is not valid; of a file, its problems name the file.
    """
    if source.endswith(".json"):
        try:
            return DeciderSpec.from_json(_text(source), codec)
        except SpecError as error:
            raise SpecError(f"{source}: {problem}" for problem in error.problems) from None
    return _named(source, DeciderSpec, "a spec is named FILE.json, FILE.py:name or module:name")


def load_apart(source: str, other: str | None = None, codec: Codec = CODEC) -> DeciderSpec:
    """Load a spec as ``load_spec`` does, but keep nothing that was imported and registered for it.

    Two versions of a program have modules and activities of the same names. The one that is loaded last would
    get the modules of the other, which Python has imported already, and could not register its activities.
    What a function of the spec imports only when it is called is that of the spec that was loaded last.

    Args:
        source: The spec.
        other: The spec that is loaded afterwards. If both are in one file or module, it is imported once.
        codec: Reads a spec in JSON.
    """
    if source.rpartition(":")[0] == (other or "").rpartition(":")[0]:
        return load_spec(source, codec)
    # Imported here, because most commands do without activities.
    from floto.runtime.workers.activities import DEFAULT  # noqa: PLC0415

    modules, path = set(sys.modules), [*sys.path]
    try:
        with DEFAULT.apart():
            return load_spec(source, codec)
    finally:
        roots = {_root_of(source), *map(Path, set(sys.path).difference(path))}
        sys.path[:] = path
        _forget(set(sys.modules) - modules, roots)


def _root_of(source: str) -> Path:
    """Return the directory from which the modules of a source are imported."""
    file, _, _ = source.rpartition(":")
    if not file.endswith(".py"):
        return Path.cwd()
    path = Path(file).absolute()
    return (_package_of(path) or (path.parent,))[0]


def _forget(names: Collection[str], roots: Collection[Path]) -> None:
    """Forget the modules, among those named, that are in the directories, or whose package is."""
    packages = {name: name.partition(".")[0] for name in names}
    found = {name: _directory_of(sys.modules.get(package)) for name, package in packages.items()}
    for name in (name for name, directory in found.items() if directory in roots):
        # floto may be in a directory with the specs, and both use the same one.
        if packages[name] != "floto":
            del sys.modules[name]


def _directory_of(module: ModuleType | None) -> Path | None:
    spec = None if module is None else module.__spec__
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else ())]
    return Path(places[0]).parent if places else None


def absolute_source(source: str) -> str:
    """Return the name of a spec with the absolute path of its file; that of a module stays as it is."""
    file, colon, name = (source, "", "") if source.endswith(".json") else source.rpartition(":")
    return f"{Path(file).absolute()}{colon}{name}" if file.endswith((".json", ".py")) else source


def names_schedule(source: str) -> bool:
    """Return True if a source names a schedule, in the forms of ``load_spec``. Raises ``LoadError``."""
    if source.endswith(".json"):
        # What is wrong with the file is for its loader to say.
        with suppress(LoadError, ValueError, RecursionError):
            value = strict_json.loads(_text(source))
            return isinstance(value, dict) and value.get("type") == TAG
        return False
    module_name, _, name = source.rpartition(":")
    return bool(module_name and name) and isinstance(getattr(load_module(module_name), name, None), Schedule)


def load_schedule(source: str, codec: Codec = CODEC) -> Schedule:
    """Load a schedule from ``FILE.json``, ``FILE.py:name`` or ``module:name``; raise like ``load_spec``."""
    if source.endswith(".json"):
        try:
            return Schedule.from_json(_text(source), codec)
        except SpecError as error:
            raise SpecError(f"{source}: {problem}" for problem in error.problems) from None
    return _named(source, Schedule, "a schedule is named FILE.json, FILE.py:name or module:name")


def spec_with(saved: Saved, codec: Codec = CODEC) -> DeciderSpec | None:
    """Return the spec that was saved with a history, else the one in the run's input, else None.

    Raises:
        HistoryError: if the history does not begin with the start of a run.
        SpecError: if the input or the spec cannot be read.
        PayloadsNeeded: if the input is stored and ``codec`` has no store.
    """
    return saved.spec(codec) or spec_of(fold(saved.history.events[:1]).start.input, codec)


def load_codec(source: str) -> Codec:
    """Load a codec from ``FILE.py:name`` or ``module:name``. Raises ``LoadError``."""
    return _named(source, Codec, "a codec is named FILE.py:name or module:name")


def _named(source: str, cls: type[T], usage: str) -> T:
    module_name, colon, name = source.rpartition(":")
    if not colon or not module_name or not name:
        raise LoadError(source, usage)
    module = load_module(module_name)
    found = getattr(module, name, None)
    if not isinstance(found, cls):
        raise LoadError(source, _not_there(module, name, cls))
    return found


def _not_there(module: ModuleType, name: str, cls: type) -> str:
    kinds = dict.fromkeys((cls, DeciderSpec, Schedule) if cls in {DeciderSpec, Schedule} else (cls,))
    named = {each: [key for key, value in vars(module).items() if isinstance(value, each)] for each in kinds}
    there = [
        f"the {each.__name__}s there are called {', '.join(names)}" for each, names in named.items() if names
    ]
    if not named[cls]:
        there.insert(0, f"there is no {cls.__name__} in it")
    kind = type(getattr(module, name, None)).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    what = f"{name!r} is {article} {kind}" if hasattr(module, name) else f"no {name!r}"
    return f"{what}; {'; '.join(there)}"


def load_module(source: str) -> ModuleType:
    """Import ``FILE.py``, or a module that may be in the current directory. Raises ``LoadError``."""
    if source.endswith(".py"):
        path = Path(source).absolute()
        if not path.is_file():
            raise LoadError(source, "there is no such file")
        return _guarded(source, lambda: _import_file(path))
    _search(Path.cwd())
    return _guarded(source, lambda: importlib.import_module(source))


def load_json(what: str, source: str) -> Any:
    """Parse JSON text, or the JSON in ``@FILE``. Raises ``LoadError`` that names ``what`` it is for."""
    text = _text(source[1:]) if source.startswith("@") else source
    try:
        return strict_json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoadError(what, f"{shown(source)} is not JSON: {error}") from None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(path, str(getattr(error, "strerror", None) or error)) from None


def _search(directory: Path) -> None:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _import_file(path: Path) -> ModuleType:
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path):
            return module
    if (package := _package_of(path)) is not None:
        return _import_from(*package, path)
    # As with `python FILE.py`, the file can import modules of its directory.
    _search(path.parent)
    name = path.stem if path.stem not in sys.modules else f"floto_file_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(str(path), "this is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _package_of(path: Path) -> tuple[Path, str] | None:
    """Return the parent directory of a file's package, and the file's module name; None without a package."""
    root, names = path.parent, [] if path.stem == "__init__" else [path.stem]
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        names.insert(0, root.name)
        root = root.parent
    return None if root == path.parent else (root, ".".join(names))


def _import_from(root: Path, name: str, path: Path) -> ModuleType:
    """Import a file of a package under its own name, so that its relative imports work."""
    _search(root)
    module: ModuleType | None
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise
        # Another package of the same name comes first on sys.path and has no such module.
        module = sys.modules.get(name.partition(".")[0])
    found = getattr(module, "__file__", None)
    if module is None or found is None or not path.samefile(found):
        msg = (
            f"by its directory it is module {name!r}, but that is another file ({found}); rename the package"
        )
        raise LoadError(str(path), msg)
    return module


def _guarded(source: str, load: Callable[[], T]) -> T:
    """Import a user's module; turn every error it raises into a ``LoadError`` of one line."""
    try:
        return load()
    except (SpecError, LoadError):
        raise
    except ModuleNotFoundError as error:
        raise LoadError(source, f"there is no module {error.name!r}{_place(error)}") from None
    except Exception as error:  # noqa: BLE001 - it may raise anything
        raise LoadError(source, f"{type(error).__name__}: {error}{_place(error)}") from None


def _place(error: Exception) -> str:
    # Frames of floto and of importlib are not the user's; a syntax error names its own file and line.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(OWN_FILES) and "importlib" not in frame.filename
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
