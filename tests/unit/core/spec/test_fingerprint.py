"""The digest of a spec, with classes that the codec knows and with others."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import pytest
from attrs import field, frozen

import floto
from floto import CODEC, DeciderSpec, FixedDelay, Retry, SpecError
from floto.core.spec.fingerprint import digests_of, fingerprint, own_digest
from tests.unit.recorder import spec, task


class Plain:
    """A strategy that is no attrs class."""

    def __init__(self, most: Any) -> None:
        self.most = most

    def delay(self, retry: Retry) -> float | None:
        return 0 if retry.number <= 1 else None


@frozen
class Own:
    """A strategy with a value of any type."""

    most: Any = field(default=1)

    def delay(self, retry: Retry) -> float | None:
        return 0 if retry.number <= 1 else None


@dataclass(frozen=True)
class Data:
    """The same as a dataclass."""

    most: Any

    def delay(self, retry: Retry) -> float | None:
        return 0 if retry.number <= 1 else None


class Derived(Data):
    """A class that differs in its name."""


@frozen
class Lazy(Own):
    """A strategy that remembers what it computes."""

    known: dict[int, int] = field(factory=dict, init=False, eq=False)
    table: list[int] = field(init=False, eq=False)

    @cached_property
    def double(self) -> int:
        return 2 * int(self.most)


class Cached(Plain):
    """The same, in a class that is no attrs class."""

    @cached_property
    def double(self) -> int:
        self._known = True
        return 2 * int(self.most)


KINDS: tuple[Any, ...] = (Own, Plain, Data, Derived)


def with_strategy(strategy: Any, name: str = "a") -> DeciderSpec:
    return spec(task(name, retry_strategy=strategy))


VALUES: list[Any] = [
    1,
    2,
    "1",
    {"a": 1},
    timedelta(seconds=1),
    timedelta(seconds=2),
    frozenset("abc"),
    frozenset("ab"),
    frozenset({frozenset("abc"), frozenset("de")}),
    frozenset({frozenset("abc"), frozenset("df")}),
    partial(max, frozenset("abc")),
    partial(max, frozenset("abd")),
    max,
    min,
    FixedDelay(1, 1),
    FixedDelay(2, 1),
    Plain(1),
    Plain(2),
    Own(Own(1)),
    Own(Own(2)),
]


def test_specs_with_different_values_of_own_classes_have_different_digests() -> None:
    digests = [own_digest(with_strategy(kind(value))) for kind in KINDS for value in VALUES]
    assert None not in digests
    assert len(set(digests)) == len(digests)
    assert own_digest(with_strategy(Own(1), "b")) not in digests


PRINT = """
from tests.unit.core.spec.test_fingerprint import KINDS, VALUES, own_digest, with_strategy
print([own_digest(with_strategy(kind(value))) for kind in KINDS for value in VALUES])
"""


def test_digest_of_own_classes_is_the_same_in_every_process() -> None:
    """Sets have another order in it, and objects other addresses."""
    digests = [own_digest(with_strategy(kind(value))) for kind in KINDS for value in VALUES]
    done = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True, check=True)
    assert done.stdout == f"{digests}\n"


@pytest.mark.parametrize("kind", [Lazy, Cached])
def test_what_a_strategy_remembers_is_not_in_the_digest(kind: Any) -> None:
    strategy = kind(3)
    before = own_digest(with_strategy(strategy))
    if isinstance(strategy, Lazy):
        strategy.known[1] = 1
    assert strategy.double == 6
    assert own_digest(with_strategy(strategy)) == before is not None


def test_strategy_that_cannot_be_described_has_no_digest() -> None:
    class Broken(Own):
        def __getattribute__(self, name: str) -> Any:
            if name == "most":
                raise KeyError(name)
            return super().__getattribute__(name)

    assert own_digest(with_strategy(frozen(Broken)())) is None


@pytest.mark.parametrize("kind", KINDS)
def test_spec_with_an_own_strategy_without_a_tag_is_not_written(kind: Any) -> None:
    """Nobody could read it: its fields do not say what it does."""
    problem = "is not registered; give it a tag" if kind is Own else "must be a frozen attrs class"
    with pytest.raises(SpecError, match=f"^{kind.__name__} {problem}"):
        with_strategy(kind(1)).to_json()


@pytest.mark.parametrize("kind", [Plain, Data])
def test_child_with_a_strategy_that_no_codec_can_write_is_refused(kind: Any) -> None:
    child = floto.ChildWorkflow(
        id_="c", workflow_type_name="n", workflow_type_version="1", spec=with_strategy(kind(1))
    )
    with pytest.raises(SpecError, match=f"^task 'c': {kind.__name__} must be a frozen attrs class"):
        spec(child)


def test_digest_is_the_fingerprint_if_the_codec_writes_the_spec() -> None:
    for each in (with_strategy(FixedDelay(1, 1)), with_strategy(None)):
        assert own_digest(each) == fingerprint(each) is not None
    codec = CODEC.with_type("mine.Own", Own)
    own = with_strategy(Own(1))
    assert fingerprint(own) is None
    assert own_digest(own, codec) == fingerprint(own, codec)
    assert digests_of(own, codec) == {own_digest(own, codec), own_digest(own)}
    assert digests_of(own, CODEC) == {own_digest(own)}


@pytest.mark.parametrize("codec", [CODEC, CODEC.with_type("mine.Own", Own)])
def test_run_of_a_spec_with_own_classes_records_a_digest(codec: floto.Codec) -> None:
    [tag] = floto.spec_tags(with_strategy(Own(1)), codec)
    assert tag.removeprefix("floto.spec:") in digests_of(with_strategy(Own(1)), codec)
