"""The digest of a spec, which a run records to say which spec it is decided by.

A run that is started for a spec records the digest in a tag, which continue-as-new passes on. Where another
spec takes over an open run, a signal records that spec's digest; the latest signal counts.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec, changed
from floto.core.state.state import State
from floto.core.swf.reserved_names import CHANGED_SIGNAL, SPEC_TAG

_DIGITS = 16


def fingerprint(spec: DeciderSpec, codec: Codec = CODEC) -> str | None:
    """Return the digest of what a spec decides, without its lists and settings.

    None if the codec cannot write the spec: with another codec, it may have another digest.
    """
    return _digest(spec, codec.dumps)


def own_digest(spec: DeciderSpec, codec: Codec = CODEC) -> str | None:
    """Return the digest that a run of a spec records, also of one that the codec cannot write.

    Classes that have no tag are in it by their name and their fields. None for children that are nested too
    deeply.
    """
    return _digest(spec, codec.described)


def digests_of(spec: DeciderSpec, codec: Codec) -> frozenset[str]:
    """Return the digests that a run of a spec may have recorded: with this codec, and with floto's own."""
    codecs = (codec,) if codec.types == CODEC.types else (codec, CODEC)
    return frozenset(filter(None, (own_digest(spec, each) for each in codecs)))


def _digest(spec: DeciderSpec, write: Callable[[DeciderSpec], str]) -> str | None:
    what = changed(
        spec,
        domain=None,
        task_list=None,
        default_activity_task_list=None,
        terminate_decider_after_completion=False,
        execution_timeout=None,
        child_policy=None,
    )
    try:
        return hashlib.sha256(write(what).encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    except SpecError:
        return None


def spec_tags(spec: DeciderSpec, codec: Codec = CODEC) -> tuple[str, ...]:
    """Return the tags that record the spec of a run, for ``StartRequest(tags=...)``.

    A decider with another spec then leaves the run alone instead of deciding it by the wrong spec.

    Args:
        spec: The spec of the run.
        codec: Writes task kinds and strategies of your own; without it, their classes and fields count.
    """
    digest = own_digest(spec, codec)
    return () if digest is None else (SPEC_TAG + digest,)


def recorded(state: State) -> str | None:
    """Return the digest of the spec that a run recorded last; None if it recorded none."""
    return next(reversed(all_recorded(state)), None)


def all_recorded(state: State) -> Sequence[str | None]:
    """Return the digests of the specs of a run: the one it was started with, then those that took over."""
    tags = (tag.removeprefix(SPEC_TAG) for tag in state.start.tag_list or () if tag.startswith(SPEC_TAG))
    return [*itertools.islice(tags, 1), *_changes(state)]


def taken_over(state: State) -> str | None:
    """Return the digest of the last spec that took over a run; None if none did."""
    return next(reversed(_changes(state)), None)


def _changes(state: State) -> Sequence[str | None]:
    return [each.data.input for each in state.signals.get(CHANGED_SIGNAL, ())]
