"""The examples order, approval, import_files and extensions, as commands on a file."""

from __future__ import annotations

import contextlib
import json
import runpy
from typing import Any

import pytest

from floto import DeciderSpec
from floto.testing import check
from tests.integration.commands import ROOT, Shell, wait_for

EXAMPLES = ROOT / "examples"


def run(shell: Shell, name: str, value: Any, code: int = 0) -> tuple[Any, str]:
    """Run an example; return its result and what it said."""
    file = EXAMPLES / name / f"{name}.py" if (EXAMPLES / name).is_dir() else EXAMPLES / f"{name}.py"
    done = shell(
        *("run", f"{file}:spec", "--activities", str(file)),
        *("--workflow-id", name.partition("/")[0], "--input", json.dumps(value)),
        code=code,
    )
    result = None if code else json.loads(done.stdout[done.stdout.index("{") :])
    return result, done.stdout + done.stderr


def lanes(text: str) -> dict[str, str]:
    """The end of each lane of a timeline, without times: ``failed`` or empty."""
    lines = [line.strip() for line in text.splitlines() if "█" in line or "▓" in line]
    return {line.split()[0]: "failed" if "failed" in line else "" for line in lines if line[0] != "░"}


def timeline(shell: Shell, name: str) -> dict[str, str]:
    found = lanes(shell("timeline", name).stdout)
    shown = lanes((EXAMPLES / name / "README.md").read_text())
    assert shown
    assert {id_: end for id_, end in found.items() if id_ in shown} == shown
    return found


def test_order_that_fails_takes_back_its_steps(shell: Shell) -> None:
    _, said = run(shell, "order", {"items": 3, "town": "Nowhere"}, code=1)
    expected = ["refunded 30 of charge 17", "released 3 items", "the order has failed: {'book_courier': "]
    places = [said.index(each) for each in expected]
    assert places == sorted(places)
    assert "canceled the courier" not in said
    assert list(timeline(shell, "order")) == [
        *("reserve_stock", "charge_card", "book_courier"),
        *("refund_card", "release_stock", "tell_customer"),
    ]


def test_order_that_completes_takes_back_nothing(shell: Shell) -> None:
    result, said = run(shell, "order", {"items": 3, "town": "Bonn"})
    assert result == {"book_courier": "courier to Bonn"}
    assert not any(word in said for word in ("refunded", "released", "has failed"))


def test_approval_without_an_answer_is_escalated(shell: Shell) -> None:
    result, _ = run(shell, "approval", {"amount": 300})
    assert result == {"escalate": "escalated, denied by the deadline"}
    assert list(timeline(shell, "approval")) == ["ask", "escalate"]


def is_waiting(shell: Shell) -> bool:
    """Return True once the run waits for the answer; before that, there may be no file and no run."""
    with contextlib.suppress(AssertionError):
        return "TimerStarted" in shell.here("history", "w")[0]
    return False


def test_approval_in_time_cancels_the_deadline(shell: Shell) -> None:
    file = EXAMPLES / "approval" / "approval.py"
    (shell.cwd / "workflow.py").write_text(file.read_text().replace("timeout=3", "timeout=3000"))
    own = ("run", "workflow.py:spec", "--activities", "workflow.py", "--workflow-id", "w", "--input")
    with shell.loop(*own, '{"amount": 300}') as running:
        wait_for(lambda: is_waiting(shell))
        shell.here("signal", "w", "answer", "--input", '{"approved": true, "by": "Ada"}')
        said, _ = running.communicate(timeout=60)
        assert running.returncode == 0
    assert json.loads(said[said.index("{\n") :]) == {"pay": "paid, approved by Ada"}
    assert "TimerCanceled" in shell.here("history", "w")[0]


def has_run(shell: Shell, name: str) -> bool:
    """Return True once there is a run; before that, there may be no file."""
    with contextlib.suppress(AssertionError):
        return name in shell.here("list")[0]
    return False


def test_extensions_retry_join_and_tell_another_run(shell: Shell) -> None:
    spec = f"{EXAMPLES / 'extensions' / 'listener.py'}:spec"
    with shell.loop("run", spec, "--workflow-id", "listener") as listener:
        wait_for(lambda: has_run(shell, "listener"))
        result, _ = run(shell, "extensions/flow", None)
        told, _ = listener.communicate(timeout=60)
    assert result == {}
    published = {"publish": {"where": ["bonn", "lyon"]}}
    assert json.loads(told[told.index("{\n") :]) == {"news": published}


def test_extensions_keep_every_invariant() -> None:
    flow = runpy.run_path(str(EXAMPLES / "extensions" / "flow.py"))
    report = check(flow["spec"], codec=flow["codec"], max_examples=60)
    assert report.runs == 60
    assert DeciderSpec.from_json(flow["spec"].to_json(flow["codec"]), flow["codec"]) == flow["spec"]


@pytest.mark.parametrize(
    ("bad", "code"),
    # f07 is bad in the timeline of the README.
    [(("f07", "f39"), 0), (("f07", "f38", "f39"), 1)],
)
def test_import_tolerates_one_bad_file_in_twenty(shell: Shell, bad: tuple[str, ...], code: int) -> None:
    files = shell.cwd / "files"
    files.mkdir()
    for number in range(1, 41):
        id_ = f"f{number:02}"
        text = "no number" if id_ in bad else json.dumps({"number": number})
        (files / f"{id_}.json").write_text(text)
    result, said = run(shell, "import_files", {"directory": str(files)}, code=code)
    if code:
        assert "3 of 40 tasks of 'list' failed, tolerated_failures is 5 %" in said
        return
    total = sum(range(1, 41)) - sum(int(id_[1:]) for id_ in bad)
    assert result == {"sum": {"files": 38, "failed": 2, "sum": total}}
    assert set(timeline(shell, "import_files")) >= {"list", "f05", "f40", "sum"}
    spec = f"{EXAMPLES}/import_files/import_files.py:spec"
    told = shell("why", "import_files", "f07", "--spec", spec).stdout
    assert "the run continues: 2 of 2 tolerated failures of the tasks of list" in told
