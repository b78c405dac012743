"""The extension of SWF's protocol that ``floto server`` understands, for a boto3 client.

It is one header of polls and one operation. Every other service ignores the header and refuses the operation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from floto.adapters.aws_errors import called
from floto.core.errors import NotPermitted, ServiceError, ServiceFault, Unauthenticated
from floto.core.swf.pollers import SERVES_HEADER, TARGET, Live, live_from_json, serves_text
from floto.core.swf.shapes import ActivityType

#: The operation of SWF that is sent under floto's name: botocore signs the request and reads the response.
_CARRIER = "CountPendingActivityTasks"
_POLL = "PollForActivityTask"
_AMAZON = ".amazonaws.com"


class Announcements:
    """The header of a client's polls that lists the activities that the polling worker can run."""

    def __init__(self) -> None:
        #: The header's value, by task list and identity.
        self._headers: dict[tuple[str, str], str] = {}

    def add(self, client: Any, task_list: str, identity: str, serves: Sequence[ActivityType]) -> None:
        """Send the header with the polls of this client from now on, unless its endpoint is Amazon's.

        Args:
            client: The boto3 client that polls.
            task_list: The task list of the polls.
            identity: The identity of the polls.
            serves: The activities that the worker can run.
        """
        text = serves_text(serves)
        if not _is_amazon(client) and text is not None:
            self._headers[task_list, identity] = text
            client.meta.events.register(f"before-call.swf.{_POLL}", self._add_header, unique_id=_POLL)

    def remove(self, task_list: str, identity: str) -> None:
        """Stop sending the header with the polls of this task list and identity."""
        self._headers.pop((task_list, identity), None)

    def _add_header(self, params: dict[str, Any], **_context: Any) -> None:
        request = json.loads(params["body"])
        text = self._headers.get((request["taskList"]["name"], request.get("identity", "")))
        if text is not None:
            params["headers"][SERVES_HEADER] = text


def _is_amazon(client: Any) -> bool:
    """Return True if the endpoint is Amazon's, or the client has none."""
    url = client.meta.endpoint_url
    return not isinstance(url, str) or _AMAZON in url


def live(client: Any) -> Live | None:
    """Request the backlogs and pollers of a ``floto server``; return None for another service.

    No request is sent to Amazon SWF.

    Args:
        client: A boto3 SWF client.

    Raises:
        ServiceError: if the request fails, or the response is malformed.
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
        msg = "the response is not one of floto server: expected the backlogs and pollers of its task lists"
        raise ServiceError(msg) from error
    finally:
        for when, hook in hooks.items():
            client.meta.events.unregister(f"{when}.swf.{_CARRIER}", hook)
