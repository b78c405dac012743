"""The quick constructor of frozen classes does what that of attrs does."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Generic, TypeVar

import attrs
import pytest

from floto.core.quick_init import maker, quick_init
from floto.core.state.state import Item, State
from floto.core.swf.events import Event

T = TypeVar("T")


@attrs.frozen(weakref_slot=False)
class Usual:
    first: int
    second: str = "two"
    third: Any = attrs.field(default=None, eq=False)


@quick_init
@attrs.frozen(weakref_slot=False)
class Quick:
    first: int
    second: str = "two"
    third: Any = attrs.field(default=None, eq=False)


@quick_init
@attrs.frozen(weakref_slot=False, kw_only=True)
class Named(Generic[T]):
    first: T
    second: int = 2


@pytest.mark.parametrize(
    ("given", "named"), [((1,), {}), ((1, "b"), {}), ((1, "b", 3), {}), ((), {"third": 3, "first": 1})]
)
def test_fields_are_those_of_the_constructor_of_attrs(given: Any, named: Any) -> None:
    quick, usual = Quick(*given, **named), Usual(*given, **named)
    assert type(quick) is Quick
    assert attrs.asdict(quick) == attrs.asdict(usual)
    assert quick == (same := Quick(1, quick.second, "not compared"))
    assert hash(quick) == hash(same)
    assert repr(quick) == repr(usual).replace("Usual", "Quick")


@pytest.mark.parametrize(("given", "named"), [((), {}), ((1, "b", 3, 4), {}), ((1,), {"fourth": 4})])
def test_wrong_arguments_raise_the_TypeError_of_attrs(given: Any, named: Any) -> None:  # noqa: N802
    with pytest.raises(TypeError) as usual:
        Usual(*given, **named)
    with pytest.raises(TypeError) as quick:
        Quick(*given, **named)
    assert str(quick.value) == str(usual.value).replace("Usual", "Quick")
    assert inspect.signature(Quick) == inspect.signature(Usual)


@pytest.mark.parametrize(("given", "named"), [((1,), {}), ((1, "b", 3), {}), ((), {"third": 3, "first": 1})])
def test_maker_makes_the_object_that_the_constructor_makes(given: Any, named: Any) -> None:
    made = maker(Quick)(*given, **named)
    assert type(made) is Quick
    assert attrs.asdict(made) == attrs.asdict(Quick(*given, **named))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.first = 2  # type: ignore[misc]


def test_maker_of_a_class_with_names_only_takes_no_positions() -> None:
    with pytest.raises(TypeError, match="positional"):
        maker(Named)(1)  # type: ignore[call-arg]
    assert maker(Named)(first=1) == Named(first=1)


@pytest.mark.parametrize("frozen", [Quick(1), Named(first="a"), Event(1, None, None), State()])  # type: ignore[arg-type]
def test_objects_are_frozen_and_can_be_copied_and_evolved(frozen: Any) -> None:
    name = attrs.fields(type(frozen))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(frozen, name, 2)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(frozen, name)
    assert copy.copy(frozen) == copy.deepcopy(frozen) == frozen
    assert getattr(attrs.evolve(frozen, **{name: 7}), name) == 7


def test_a_class_with_names_only_takes_no_positions() -> None:
    with pytest.raises(TypeError, match="positional"):
        Named(1)  # type: ignore[call-arg]
    assert Named(first=1) == Named(second=2, first=1)


def test_an_error_in_the_constructor_leaves_no_object_that_is_not_frozen() -> None:
    with pytest.raises(TypeError):
        Item()  # type: ignore[call-arg]
    assert type(Item(("a", "b"), "c", None)) is Item  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "field",
    [
        attrs.field(converter=int),
        attrs.field(validator=attrs.validators.instance_of(int)),
        attrs.field(factory=list),
    ],
)
def test_a_class_with_a_converter_a_validator_or_a_factory_is_refused(field: Any) -> None:
    cls = attrs.make_class("Given", {"value": field}, frozen=True, weakref_slot=False)
    with pytest.raises(TypeError, match=r"Given\.value"):
        quick_init(cls)
