"""A quick constructor for the frozen attrs classes of which each operation makes several objects."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

T = TypeVar("T")


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
    names["__init__"].__annotations__ = cls.__init__.__annotations__
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    setattr(cls, "__init__", names["__init__"])  # noqa: B010 - type checkers refuse an assignment
    return cls


def unfrozen(cls: type) -> type:
    """Return a subclass that takes assignments, and whose objects can be made objects of the frozen class."""
    members = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), members)


def _source(fields: tuple[attrs.Attribute[Any], ...]) -> str:
    parameters = ["self"]
    for field in fields:
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        is_required = field.default is attrs.NOTHING
        parameters.append(field.name if is_required else f"{field.name}=default_{field.name}")
    lines = [f"def __init__({', '.join(parameters)}):", "    set_class(self, unfrozen)"]
    lines += [f"    self.{field.name} = {field.name}" for field in fields]
    return "\n".join([*lines, "    self.__class__ = cls"])
