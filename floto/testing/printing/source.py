"""Python source of specs and histories, laid out as formatters do.

Nothing here is evaluated: the source is for people to read and for pytest to import.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import attrs
from attrs import define, field, frozen

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.history import History
from floto.core.swf.identifiers import shown
from floto.testing.simulation.outcomes import Outcome

#: The name of a codec that knows more kinds than floto's.
OWN_CODEC = "OWN_CODEC"
_WIDTH = 88
_INDENT = "    "
_BRACKETS = ("[", "]")
#: The functions that make outcomes.
_CALLED = re.compile(r"\b(returns|fails|times_out|takes)\(")


class Name(str):
    """A name in the source, written without quotes."""

    __slots__ = ()


@frozen
class _Group:
    """Items between brackets, on one line or one each; an item is a prefix, such as ``id_=``, and a value."""

    opening: str
    items: tuple[tuple[str, _Group | str], ...]
    closing: str

    def flat(self) -> str:
        """Return the group on one line."""
        texts = [name + (item if isinstance(item, str) else item.flat()) for name, item in self.items]
        last = "," if self.opening == "(" and len(texts) == 1 else ""
        return f"{self.opening}{', '.join(texts)}{last}{self.closing}"

    def laid_out(self, indent: str, taken: int) -> str:
        """Return the group at this indentation, behind so many characters (and with one behind it)."""
        flat = self.flat()
        if len(indent) + taken + len(flat) <= _WIDTH or not self.items:
            return flat
        inner = indent + _INDENT
        lines = [
            f"{inner}{name}{item if isinstance(item, str) else item.laid_out(inner, len(name) + 1)},\n"
            for name, item in self.items
        ]
        return f"{self.opening}\n{''.join(lines)}{indent}{self.closing}"


@define
class SourceWriter:
    """Writes values as source, and collects the imports that they need."""

    _modules: dict[str, str] = field(factory=dict)

    def name(self, module: str, name: str) -> str:
        """Import a name and return it; raises ``SpecError`` where two modules have the same name."""
        if self._modules.setdefault(name, module) != module:
            raise SpecError((f"both {module} and {self._modules[name]} have a {name}; rename one of them",))
        return name

    def imports(self) -> str:
        """Return the import lines, sorted as isort does."""
        modules: dict[str, list[str]] = {}
        for name in sorted(self._modules, key=_isorted):
            modules.setdefault(self._modules[name], []).append(name)
        # User modules come after installed ones.
        blocks = (sorted(filter(_is_floto, modules)), sorted(name for name in modules if not _is_floto(name)))
        lines = ("\n".join(_import(name, modules[name]) for name in block) for block in blocks if block)
        return "\n\n".join(lines)

    def assigned(self, name: str, value: Any) -> str:
        """Return ``name = value``."""
        node = self._node(value)
        opening = f"{name} = "
        return opening + (node if isinstance(node, str) else node.laid_out("", len(opening)))

    def called(self, opening: str, name: str, arguments: Iterable[tuple[str, Any]]) -> str:
        """Return ``opening`` and a call of a function of floto.testing, at the indentation of a test."""
        items = tuple((prefix, self._node(value)) for prefix, value in arguments)
        call = _Group(f"{self.name('floto.testing', name)}(", items, ")")
        return opening + call.laid_out(_INDENT, len(opening))

    def argument(self, value: Any) -> str:
        """Return a value on one line."""
        node = self._node(value)
        return node if isinstance(node, str) else node.flat()

    def codec(self, codec: Codec) -> str:
        """Return the source of ``OWN_CODEC``, a codec that knows more kinds than floto's; else nothing."""
        own = {tag: cls for tag, cls in codec.types.items() if tag not in CODEC.types}
        if not own:
            return ""
        rows = [(f"{text(tag)}: ", self.declared(cls)) for tag, cls in own.items()]
        table = _Group("{", (("", f"**{self.name('floto', 'CODEC')}.types"), *rows), "}")
        opening = f"{OWN_CODEC} = "
        call = _Group(f"{self.name('floto', 'Codec')}(", (("", table),), ")")
        return f"{opening}{call.laid_out('', len(opening))}\n"

    def declared(self, thing: Any) -> str:
        """Import a class, a function or the like from the module that declares it, and return its name.

        Raises ``SpecError`` for what cannot be imported, such as what is declared in a function.
        """
        module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str):
            raise SpecError((f"{shown(thing)} cannot be written as source",))
        if module == "__main__":
            problem = (
                "is declared in the script that runs, which no other file can import; move it to a module"
            )
            raise SpecError((f"{name} {problem}",))
        if "." in name or "<" in name:
            problem = "is not declared at the top of a module, so no other file can import it"
            raise SpecError((f"{name} {problem}",))
        return self.name(_public(module), name)

    def _node(self, value: Any, *, tuples: tuple[str, str] = _BRACKETS) -> _Group | str:
        if isinstance(value, Mapping):
            pairs = ((f"{text(key)}: ", self._node(item, tuples=tuples)) for key, item in value.items())
            return _Group("{", tuple(pairs), "}")
        if isinstance(value, list | tuple):
            opening, closing = _BRACKETS if isinstance(value, list) else tuples
            return _Group(opening, tuple(("", self._node(item, tuples=tuples)) for item in value), closing)
        if isinstance(value, Outcome):
            return self._outcome(value)
        if attrs.has(type(value)):
            return self._call(value)
        return self._plain(value)

    def _plain(self, value: Any) -> str:
        if isinstance(value, Enum):
            return f"{self.declared(type(value))}.{value.name}"
        write = _PLAIN.get(type(value))
        if write is not None:
            return write(value)
        return self.declared(value) if hasattr(value, "__qualname__") else self._made(value)

    def _made(self, value: Any) -> str:
        """Return the call of a class without arguments; other objects do not say how they were made."""
        if type(value).__module__ == "builtins":
            raise SpecError((f"{shown(value)} cannot be written as source",))
        name = self.declared(type(value))
        if getattr(value, "__dict__", None) or getattr(type(value), "__slots__", None):
            raise SpecError(
                (f"{shown(value)} cannot be written as source; make {name} a frozen attrs class",)
            )
        return f"{name}()"

    def _outcome(self, outcome: Outcome) -> str:
        for called in _CALLED.findall(outcome.code):
            self.name("floto.testing", called)
        return outcome.code

    def _call(self, value: Any) -> _Group:
        # floto's own classes take lists where they keep tuples; other classes may not.
        tuples = _BRACKETS if type(value).__module__.startswith("floto.") else ("(", ")")
        items = tuple(
            (f"{each.alias}=", self._node(getattr(value, each.name), tuples=tuples))
            for each in attrs.fields(type(value))
            if each.init and getattr(value, each.name) != each.default
        )
        return _Group(f"{self.declared(type(value))}(", items, ")")


@define
class ReportWriter(SourceWriter):
    """Writes values for people alone, who need no imports: what a file cannot contain, too."""

    def declared(self, thing: Any) -> str:
        """Return the name of a class, a function or the like, wherever it is declared."""
        name = getattr(thing, "__qualname__", None)
        return name.rpartition(".")[2] if isinstance(name, str) else shown(thing)

    def _made(self, value: Any) -> str:
        try:
            return super()._made(value)
        except SpecError:
            return shown(value)


def _is_floto(module: str) -> bool:
    return module.partition(".")[0] == "floto"


def _public(module: str) -> str:
    """Return the module to import a name of a module from."""
    if not _is_floto(module):
        return module
    return "floto.testing" if module.startswith("floto.testing") else "floto"


def text(value: str) -> str:
    """Return a string literal in double quotes, unless the string contains some."""
    written = repr(value)
    return f'"{written[1:-1]}"' if written.startswith("'") and '"' not in written else written


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


_PLAIN: Mapping[type, Callable[[Any], str]] = {
    str: text,
    float: _number,
    int: repr,
    bool: repr,
    type(None): repr,
    Name: str,
}


def _isorted(name: str) -> tuple[int, str]:
    """Sort constants before classes before other names."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def _import(module: str, names: Iterable[str]) -> str:
    node = _Group("", tuple(("", name) for name in names), "")
    start = f"from {module} import "
    if len(start) + len(node.flat()) <= _WIDTH:
        return start + node.flat()
    return start + _Group("(", node.items, ")").laid_out("", _WIDTH)


def events_source(history: History) -> str:
    """Return SWF's dicts, one event a line."""
    source = SourceWriter()
    lines = (source.argument(_plain(event)) for event in history.to_swf())
    return "\n".join(f"{_INDENT}{line}," for line in lines)


def _plain(value: Any) -> Any:
    """Return a value that ``History.from_swf`` reads again; a time is text, or 0 at the epoch."""
    if isinstance(value, datetime):
        return value.isoformat() if value.timestamp() else 0
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if type(value) in _PLAIN else str(value)
