"""A decider without a spec: the input of every run contains one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.service import Service
from floto.runtime.deciders.decider import Decider, Listener
from floto.runtime.workers.worker import POLL_SECONDS

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics


class DynamicDecider(Decider):
    """Decides for the runs of one task list, each by the spec under ``decider_spec`` in its input.

    The decision task of a run without a spec is left to another decider. For the arguments, see ``Decider``.
    """

    def __init__(  # noqa: PLR0913 - all of them are optional
        self,
        domain: str | None = None,
        task_list: str | None = None,
        *,
        service: Service | str | None = None,
        identity: str | None = None,
        codec: Codec = CODEC,
        payloads: Store | str | None = None,
        listener: Listener | None = None,
        poll_seconds: float = POLL_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(
            domain=domain,
            task_list=task_list,
            service=service,
            identity=identity,
            codec=codec,
            payloads=payloads,
            listener=listener,
            poll_seconds=poll_seconds,
            metrics=metrics,
        )
