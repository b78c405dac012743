"""One call of one operation, with the context that every handler needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.engine.engine import Engine
from floto.core.engine.registration.regions import DEFAULT_REGION, domain_key
from floto.core.engine.registration.registration import Registration
from floto.core.engine.stores.store import RunStore
from floto.core.swf.shapes import WorkflowExecution

Request = Mapping[str, Any]
Response = dict[str, Any]


@frozen
class Call:
    """A request that was checked against SWF's model, and the time of its execution."""

    engine: Engine
    store: RunStore
    operation: str
    request: Request
    now: datetime
    new_run_id: Callable[[], str]
    #: Region of the domains: names are scoped per region.
    region: str = DEFAULT_REGION

    @property
    def registration(self) -> Registration:
        """Operations on domains and types."""
        return self.engine.registration

    @property
    def domain(self) -> str:
        """Key of the domain of the request, registered or not."""
        return domain_key(self.region, self.request["domain"])

    def known_domain(self) -> str:
        """Return the key of the domain; raise ``UnknownResource`` if it is not registered."""
        self.registration.need_domain(self.domain)
        return self.domain


Handler = Callable[[Call], Response]


def execution(shape: Request) -> WorkflowExecution:
    """Read a workflow execution from SWF's dict."""
    return WorkflowExecution(shape["workflowId"], shape["runId"])


def given(**members: Any) -> Response:
    """Return a dict of the members that are not None: SWF omits the others."""
    return {name: value for name, value in members.items() if value is not None}
