"""Every adapter registers domains and types with the same defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client

WORKFLOW, ACTIVITY = floto.WorkflowType("w", "1"), floto.ActivityType("a", "1")


def registered(client: Any) -> dict[str, Any]:
    domain = client.describe_domain(name="floto")
    names = {"name": "w", "version": "1"}
    return {
        "domain": domain["configuration"],
        "workflow": client.describe_workflow_type(domain="floto", workflowType=names)["configuration"],
        "activity": client.describe_activity_type(domain="floto", activityType={**names, "name": "a"})[
            "configuration"
        ],
    }


def by_file(path: Path) -> dict[str, Any]:
    with SqliteService(path) as service:
        service.prepare([WORKFLOW], [ACTIVITY])
    with floto.LocalSwf(path) as client:
        return registered(client)


def test_file_and_client_register_with_the_same_defaults(tmp_path: Path) -> None:
    with floto.LocalSwf(tmp_path / "client.db") as client:
        SwfService(client, "floto").prepare([WORKFLOW], [ACTIVITY])
        assert registered(client) == by_file(tmp_path / "file.db")


def test_file_and_boto3_register_with_the_same_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = make_client("us-east-1")
        SwfService(client, "floto").prepare([WORKFLOW], [ACTIVITY])
        found, expected = registered(client), by_file(tmp_path / "file.db")
        assert found == expected


def test_types_that_a_start_and_decisions_name_have_the_same_defaults(tmp_path: Path) -> None:
    activities = floto.Activities()
    activities.activity(name="a", version="1")(lambda: None)
    spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(name="a", version="1")])
    service = f"sqlite:///{tmp_path / 'run.db'}"
    floto.run(spec, service=service, activities=activities, timeout=60)
    with floto.LocalSwf(tmp_path / "run.db") as client:
        names = {"name": "a", "version": "1"}
        found = client.describe_activity_type(domain="floto", activityType=names)["configuration"]
        assert found == by_file(tmp_path / "file.db")["activity"]
