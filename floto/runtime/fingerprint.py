"""Which spec a run is of: a digest in a tag of the run, which continue-as-new passes on."""

from __future__ import annotations

import hashlib

from attrs import evolve

from floto.core.carried_signals import CHANGED_SIGNAL
from floto.core.codec import Codec
from floto.core.errors import SpecError
from floto.core.specs import DeciderSpec
from floto.core.state import State

_TAG = "floto.spec:"
_DIGITS = 16


def fingerprint(spec: DeciderSpec, codec: Codec) -> str | None:
    """A digest of what a spec does, not of where; None for kinds that the codec cannot write."""
    what = evolve(
        spec,
        domain=None,
        task_list=None,
        default_activity_task_list=None,
        terminate_decider_after_completion=False,
    )
    try:
        return hashlib.sha256(codec.dumps(what).encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    except SpecError:
        return None


def tags(digest: str | None) -> tuple[str, ...]:
    """The tags of a run that is started with a spec."""
    return () if digest is None else (_TAG + digest,)


def recorded(state: State) -> str | None:
    """The digest of the spec that a run was last decided by; None where none was recorded."""
    changes = state.signals.get(CHANGED_SIGNAL)
    if changes:
        changed: str | None = changes[-1].data.input
        return changed
    found = (tag.removeprefix(_TAG) for tag in state.start.tag_list or () if tag.startswith(_TAG))
    return next(found, None)
