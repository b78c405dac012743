"""One call of one operation, and what every handler needs to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.engine.engine import Engine
from floto.core.engine.registration.regions import DEFAULT_REGION, domain_key
from floto.core.engine.registration.registration import Registration
from floto.core.engine.stores.store import RunStore
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

Request = Mapping[str, Any]
Response = dict[str, Any]


@frozen
class Call:
    """A request that was checked against SWF's model, and the time it is carried out."""

    engine: Engine
    store: RunStore
    operation: str
    request: Request
    now: datetime
    new_run_id: Callable[[], str]
    #: Whose domains the call is about: names of SWF are scoped per region.
    region: str = DEFAULT_REGION

    @property
    def registration(self) -> Registration:
        """Domains and types."""
        return self.engine.registration

    @property
    def domain(self) -> str:
        """The key of the domain that the call is about, registered or not."""
        return domain_key(self.region, self.request["domain"])

    def known_domain(self) -> str:
        """The key of the domain; a fault if nobody registered it."""
        self.registration.need_domain(self.domain)
        return self.domain


Handler = Callable[[Call], Response]


def activity_type(shape: Request) -> ActivityType:
    """The type of SWF's dict."""
    return ActivityType(shape["name"], shape["version"])


def workflow_type(shape: Request) -> WorkflowType:
    """The type of SWF's dict."""
    return WorkflowType(shape["name"], shape["version"])


def execution(shape: Request) -> WorkflowExecution:
    """The run of SWF's dict."""
    return WorkflowExecution(shape["workflowId"], shape["runId"])


def given(**members: Any) -> Response:
    """A dict of the members that are not None: SWF leaves out what it does not have."""
    return {name: value for name, value in members.items() if value is not None}
