"""Quick constructors for the frozen attrs classes of which each operation makes several objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import attrs

P = ParamSpec("P")
T = TypeVar("T")

#: The function of each class that ``maker`` returns.
_MAKERS: dict[Any, Callable[..., Any]] = {}


def quick_init(cls: type[T]) -> type[T]:
    """Replace the constructor of a frozen attrs class by one that takes half the time.

    The constructor of attrs calls ``object.__setattr__`` for each field, because a frozen object takes no
    assignment. This one fills an object of a subclass that is not frozen, and then makes it one of ``cls``.
    Python permits that, since the subclass has no slots of its own.

    Args:
        cls: A frozen class without converters, validators and factories.

    Raises:
        TypeError: if it has one of these.
    """
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cls)  # type: ignore[arg-type]  # one of attrs
    for field in fields:
        if field.converter or field.validator or type(field.default) is attrs.Factory:
            msg = f"{cls.__name__}.{field.name}: a quick constructor calls no converter, validator or factory"
            raise TypeError(msg)
    names: dict[str, Any] = {f"default_{field.name}": field.default for field in fields}
    names |= {"cls": cls, "set_class": object.__dict__["__class__"].__set__}
    names["unfrozen"] = unfrozen(cls)
    exec(_source(fields), names)  # noqa: S102 - of the names of fields alone
    _MAKERS[cls] = names["make"]
    names["__init__"].__annotations__ = cls.__init__.__annotations__
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    setattr(cls, "__init__", names["__init__"])  # noqa: B010 - type checkers refuse an assignment
    return cls


def maker(cls: Callable[P, T]) -> Callable[P, T]:
    """Return a function with the parameters of a class that makes its objects in half the time.

    Python calls a function without the tuple and the dict of arguments that the call of a class takes.

    Args:
        cls: A class with ``quick_init``.
    """
    return _MAKERS[cls]


def unfrozen(cls: type) -> type:
    """Return a subclass that takes assignments, and whose objects can be made objects of the frozen class."""
    members: dict[str, Any] = {"__slots__": ()}
    members |= {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    return type(cls.__name__, (cls,), members)


def _source(fields: tuple[attrs.Attribute[Any], ...]) -> str:
    parameters = []
    for field in fields:
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        is_required = field.default is attrs.NOTHING
        parameters.append(str(field.alias) if is_required else f"{field.alias}=default_{field.name}")
    fill = [*(f"    self.{field.name} = {field.alias}" for field in fields), "    self.__class__ = cls"]
    lines = [f"def __init__({', '.join(['self', *parameters])}):", "    set_class(self, unfrozen)", *fill]
    lines += [f"def make({', '.join(parameters)}):", "    self = unfrozen()", *fill, "    return self"]
    return "\n".join(lines)
