"""Choosing the spec of a run among those of a decider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import Factory, define, field, frozen

from floto.core.decide.decide import spec_of
from floto.core.errors import FlotoError, SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.spec.fingerprint import digests_of, own_digest, recorded, taken_over
from floto.core.state.state import State
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowType

T = TypeVar("T")


@define
class NoSpec(FlotoError):
    """A run that this decider has no spec for; another decider may have one."""

    problem: str

    def __str__(self) -> str:
        """Return the problem."""
        return self.problem


@define
class OtherSpec(NoSpec):
    """A run that records the digest of another spec; this decider's spec, ``own``, could take it over."""

    own: DeciderSpec


def by_workflow_type(given: Mapping[WorkflowType, T] | None, what: str) -> dict[WorkflowType, T]:
    """Return what is given for each workflow type. Raises ``SpecError``, which calls it ``what``.

    With another key, the runs of the type would be decided by the spec for all others.
    """
    try:
        found = dict(given or {})
    except (TypeError, ValueError):
        raise SpecError((f"{what} must map workflow types, not be {shown(given)}",)) from None
    for kind in found:
        if not isinstance(kind, WorkflowType):
            raise SpecError((f"{what}: each key is a floto.WorkflowType(name, version), not {shown(kind)}",))
    return found


def rules_by_type(
    given: Mapping[WorkflowType, Callable[..., Any]] | None,
) -> dict[WorkflowType, Callable[..., Any]]:
    """Return the rule of each workflow type. Raises ``SpecError`` for other keys, and for no functions."""
    found = by_workflow_type(given, "rules")
    for kind, rule in found.items():
        if not callable(rule):
            raise SpecError((f"rules: that of {kind.name!r} is no function, but {shown(rule)}",))
    return found


def _specs(given: Mapping[WorkflowType, DeciderSpec] | None) -> dict[WorkflowType, DeciderSpec]:
    specs = by_workflow_type(given, "specs")
    return {kind: as_spec(spec, f"the spec of {kind.name!r}") for kind, spec in specs.items()}


@frozen
class DeciderSpecs:
    """The specs of one decider: by workflow type, and ``default`` for the runs of every other type.

    Raises:
        SpecError: if ``by_type`` has other keys or values.
    """

    default: DeciderSpec | None
    by_type: Mapping[WorkflowType, DeciderSpec] = field(converter=_specs)
    codec: Codec = field(eq=False)
    _by_digest: Mapping[str | None, Sequence[DeciderSpec]] = field(
        init=False, eq=False, repr=False, default=Factory(lambda self: self._digests(), takes_self=True)
    )

    @property
    def all(self) -> tuple[DeciderSpec, ...]:
        """Every spec of the decider."""
        return (*self.by_type.values(), *([] if self.default is None else [self.default]))

    def _digests(self) -> Mapping[str | None, Sequence[DeciderSpec]]:
        found: dict[str | None, list[DeciderSpec]] = {}
        for spec in self.all:
            for digest in digests_of(spec, self.codec):
                found.setdefault(digest, []).append(spec)
        return found

    def choose(self, state: State) -> DeciderSpec:
        """Return the spec of a run.

        That is the spec in the run's input, unless another spec took the run over later; else the spec whose
        digest the run records; else, for a run that records none, the spec of its workflow type.

        Raises:
            NoSpec: if this decider has no spec for the run.
            OtherSpec: if it has one, but the run records the digest of another.
            SpecError: if the spec in the run's input cannot be read.
        """
        carried, changed = spec_of(state.start.input, self.codec), taken_over(state)
        if carried is not None and (changed is None or changed in digests_of(carried, self.codec)):
            return carried
        own, digest = self._of_type(state.start), recorded(state)
        if digest is None:
            if own is None:
                raise NoSpec(_no_spec(state.start.workflow_type))
            return own
        recording = self._by_digest.get(digest, ())
        if own is not None and any(each is own for each in recording):
            return own
        if recording:
            return recording[-1]
        if own is None:
            msg = f"{_no_spec(state.start.workflow_type)}, but records the digest {digest!r} of one"
            raise NoSpec(msg)
        msg = f"the run records spec {digest!r}, and this decider has spec {own_digest(own, self.codec)!r}"
        raise OtherSpec(msg, own)

    def need_any(self, kind: WorkflowType) -> None:
        """Raise ``NoSpec`` if this decider has specs by type only, and none for this type."""
        if self.by_type and self.default is None and kind not in self.by_type:
            raise NoSpec(_no_spec(kind))

    def is_current(self, spec: DeciderSpec, state: State) -> bool:
        """Return True unless another spec has taken over a run that was decided by ``spec``."""
        changed = taken_over(state)
        return changed is None or changed in digests_of(spec, self.codec)

    def _of_type(self, start: WorkflowExecutionStarted) -> DeciderSpec | None:
        return self.by_type.get(start.workflow_type) or self.default


def _no_spec(kind: WorkflowType) -> str:
    return (
        f"this decider has no spec for workflow type {kind.name!r} version {kind.version!r}, "
        "and the run carries none"
    )


def read_spec(spec: DeciderSpec | str | None, codec: Codec = CODEC) -> DeciderSpec | None:
    """Return a spec that is given as an object or as its JSON. Raises ``SpecError``."""
    if spec is None:
        return None
    return DeciderSpec.from_json(spec, codec) if isinstance(spec, str) else as_spec(spec, "spec")
