"""The stage on which a scenario plays: a fresh service of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.contract.backends import FLOTO, MAKERS, Backend
from tests.integration.contract.clock import Clock
from tests.integration.contract.deviations import MOTO_DEVIATES
from tests.integration.contract.stage import Stage


@pytest.fixture(params=FLOTO)
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    rule = MOTO_DEVIATES.get(request.function.__name__) if request.param == "moto" else None
    if rule is not None:
        request.applymarker(pytest.mark.xfail(reason=rule, strict=True))
    backend = MAKERS[request.param](tmp_path / "swf.db", monkeypatch, Clock())
    backend.open()
    try:
        yield backend
    finally:
        backend.close()


@pytest.fixture
def stage(backend: Backend) -> Stage:
    stage = Stage(backend)
    stage.prepare()
    return stage
