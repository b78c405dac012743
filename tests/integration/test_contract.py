"""SWF's conformance scenarios: each is a test of ``tests/integration/contract`` that begins with its number.

Each runs against the pure engine on its in-memory store, against ``LocalSwf`` in process and against
boto3 through floto's server; those that moto knows of run against moto as well.
"""

from __future__ import annotations

import re
from pathlib import Path

SCENARIOS = Path(__file__).with_name("contract")


def test_every_scenario_has_a_test_with_its_number() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SCENARIOS.glob("test_*.py"))
    numbers = {int(number) for number in re.findall(r"^def test_(\d\d)_", text, re.MULTILINE)}
    assert numbers == set(range(1, 97))
