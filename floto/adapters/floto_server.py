"""What ``floto server`` takes and answers beside SWF's protocol, through a client of boto3.

Every other service ignores the header, and refuses the operation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from floto.adapters.aws_errors import called
from floto.core.errors import NotPermitted, ServiceError, ServiceFault, Unauthenticated
from floto.core.swf.pollers import SERVES_HEADER, TARGET, Live, live_from_json, serves_text
from floto.core.swf.shapes import ActivityType

#: Which of SWF's operations is sent under another name: botocore signs it and reads the answer as it is.
_CARRIER = "CountPendingActivityTasks"
_POLL = "PollForActivityTask"
_AMAZON = ".amazonaws.com"


class Announcements:
    """Says with each poll of a client what the worker that polls has functions for."""

    def __init__(self) -> None:
        #: The header by task list and identity.
        self._headers: dict[tuple[str, str], str] = {}

    def add(self, client: Any, task_list: str, identity: str, serves: Sequence[ActivityType]) -> None:
        """Say it from now on with polls of this client, unless it is Amazon's."""
        text = serves_text(serves)
        if not _is_amazon(client) and text is not None:
            self._headers[task_list, identity] = text
            client.meta.events.register(f"before-call.swf.{_POLL}", self._add_header, unique_id=_POLL)

    def remove(self, task_list: str, identity: str) -> None:
        """Say it no more."""
        self._headers.pop((task_list, identity), None)

    def _add_header(self, params: dict[str, Any], **_context: Any) -> None:
        request = json.loads(params["body"])
        text = self._headers.get((request["taskList"]["name"], request.get("identity", "")))
        if text is not None:
            params["headers"][SERVES_HEADER] = text


def _is_amazon(client: Any) -> bool:
    """Return True for Amazon's own endpoint, or a client that has none."""
    url = client.meta.endpoint_url
    return not isinstance(url, str) or _AMAZON in url


def live(client: Any) -> Live | None:
    """Ask ``floto server`` what waits on its task lists, and who polls; None: it is another service.

    Amazon SWF is not asked.

    Raises:
        ServiceError: if it cannot be asked.
    """
    if _is_amazon(client):
        return None
    bodies: list[bytes] = []

    def rename(params: dict[str, Any], **_context: Any) -> None:
        params["headers"]["X-Amz-Target"] = TARGET

    def keep(response_dict: dict[str, Any], **_context: Any) -> None:
        bodies.append(response_dict["body"])

    hooks: dict[str, Callable[..., None]] = {"before-call": rename, "response-received": keep}
    for when, hook in hooks.items():
        client.meta.events.register(f"{when}.swf.{_CARRIER}", hook)
    try:
        called(client.count_pending_activity_tasks, domain="floto", taskList={"name": "floto"})
        return live_from_json(json.loads(bodies[-1]))
    except (Unauthenticated, NotPermitted):
        raise
    except ServiceFault:
        return None
    except (ValueError, IndexError) as error:
        msg = "the server's answer is not what floto server says of its task lists"
        raise ServiceError(msg) from error
    finally:
        for when, hook in hooks.items():
            client.meta.events.unregister(f"{when}.swf.{_CARRIER}", hook)
