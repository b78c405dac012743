"""Values of others in what commands print: each stays one value, and no terminal obeys it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from floto import ActivityTask, DeciderSpec
from tests.integration.hostile import HOSTILE, IN_NAMES, PLAIN, Said, fill, floto, history, write_history

SPEC = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="a", version="1")])


def compared(hostile: Said, plain: Said) -> None:
    """Both ended alike, with as many lines, and nothing that a terminal obeys."""
    assert not hostile.unsafe, (hostile.out, hostile.err)
    assert (hostile.code, hostile.lines) == (plain.code, plain.lines), (hostile, plain)


def spec_of(text: str) -> DeciderSpec:
    """Return a spec with the task of the history, if its id is a valid task id."""
    return DeciderSpec(activity_tasks=[ActivityTask(id_=text, name=text, version=text)])


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "spec.json").write_text(SPEC.to_json())


SAVED = {
    "timeline": ("timeline", "{}.json"),
    "replay": ("replay", "spec.json", "{}.json"),
    "replay --json": ("replay", "spec.json", "{}.json", "--json"),
    "replay --step": ("replay", "spec.json", "{}.json", "--step"),
    "compare": ("compare", "spec.json", "other.json", "{}.json"),
    "compare --json": ("compare", "spec.json", "other.json", "{}.json", "--json"),
    "why": ("why", "{}.json", "a", "--spec", "spec.json"),
    "why all": ("why", "{}.json", "--spec", "spec.json"),
    "why all --json": ("why", "{}.json", "--spec", "spec.json", "--json"),
    "why unknown": ("why", "{}.json", "{}", "--spec", "spec.json"),
    "graph": ("graph", "spec.json", "--history", "{}.json"),
    "no file": ("why", "./{}.no", "a", "--spec", "spec.json"),
    "no option": ("why", "--{}"),
    "no command": ("{}",),
    "no spec": ("check", "{}.json:x"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", SAVED.values(), ids=SAVED)
def test_saved_history_cannot_print_control_characters_or_extra_lines(
    command: tuple[str, ...], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.prompt", lambda *_, **__: "q")
    Path("other.json").write_text(spec_of("b").to_json())
    found = {}
    for value in (text, PLAIN):
        name = value.replace("/", "").replace("\x00", "").replace("\ud800", "")
        write_history(Path(f"{name}.json"), value)
        arguments = [part.format(name if "." in part or "--" in part else value) for part in command]
        found[value] = floto(*(each.replace("\x00", "").replace("\ud800", "") for each in arguments))
    compared(found[text], found[PLAIN])


@pytest.mark.parametrize("text", IN_NAMES.values(), ids=IN_NAMES)
@pytest.mark.parametrize("command", ["why", "graph", "check", "compare"])
def test_spec_with_hostile_names_cannot_print_control_characters(command: str, text: str) -> None:
    found = {}
    for value in (text, PLAIN):
        Path("own.json").write_text(spec_of(value).to_json())
        write_history(Path("run.json"), value)
        arguments = {
            "why": ["why", value, "run.json", "--spec", "own.json"],
            "graph": ["graph", "own.json", "--history", "run.json"],
            "check": ["check", "own.json"],
            "compare": ["compare", "own.json", "spec.json", "run.json"],
        }
        found[value] = floto(*arguments[command])
    compared(found[text], found[PLAIN])


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_refused_spec_prints_one_line_for_each_problem(text: str) -> None:
    found = {}
    for value in (text, f"{PLAIN}/"):
        spec = {
            "type": "floto.DeciderSpec",
            "activity_tasks": [{"type": value, "id_": value, value: value, "requires": [value]}],
            value: value,
        }
        Path("bad.json").write_text(json.dumps(spec))
        found[value] = floto("check", "bad.json")
    compared(found[text], found[f"{PLAIN}/"])


SERVED = {
    "list": ("list",),
    "list --json": ("list", "--json"),
    "show open": ("show", "open {}"),
    "show closed": ("show", "closed {}"),
    "show --json": ("show", "closed {}", "--json"),
    "show unknown": ("show", "opn {}"),
    "history": ("history", "closed {}"),
    "signal": ("signal", "open {}", "{}"),
    "cancel": ("cancel", "open {}"),
    "cancel closed": ("cancel", "closed {}"),
    "terminate": ("terminate", "open {}", "--reason", "{}"),
    "unknown domain": ("list", "--domain", "no {}"),
    "start": ("start", "--type", "{}", "{}", "--workflow-id", "new {}"),
    "start unknown": ("start", "--type", "no {}", "{}", "--workflow-id", "new {}"),
    "register workflow": ("register", "workflow", "new {}", "{}"),
    "register domain": ("register", "domain", "new {}"),
    "register --json": ("register", "activity", "new {}", "{}", "--json"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", SERVED.values(), ids=SERVED)
def test_run_cannot_print_control_characters_or_extra_lines(
    command: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    said: dict[str, Said] = {}
    name = text if text in IN_NAMES.values() else "monday"
    for value, id_ in ((text, name), (PLAIN, PLAIN)):
        file = tmp_path / f"{len(said)}.db"
        fill(file, id_, value.replace("\ud800", ""))
        arguments = [part.format(id_) for part in command]
        said[value] = floto(*arguments, "--service", f"sqlite:///{file}")
    hostile = said[text]
    assert not hostile.unsafe - ({"\t"} if command[0] in {"list", "show", "register"} else set())
    assert (hostile.code, hostile.lines) == (said[PLAIN].code, said[PLAIN].lines)
    assert hostile.out.count("\t") == said[PLAIN].out.count("\t")
    if "--json" in command or command[0] == "history":
        assert json.loads(hostile.out)


def test_json_output_keeps_letters_and_round_trips_every_character(tmp_path: Path) -> None:
    text = "".join(HOSTILE.values()).replace("\ud800", "") + "häßlich 猫 😀"
    fill(tmp_path / "floto.db", "w", text)
    said = floto("show", "closed w", "--json")
    assert "häßlich 猫 😀" in said.out
    assert json.loads(said.out)["input"] == text
    assert (
        json.loads(floto("history", "closed w").out)["events"][0]["workflowExecutionStartedEventAttributes"][
            "input"
        ]
        == text
    )


def test_hostile_history_is_read() -> None:
    for text in HOSTILE.values():
        write_history(Path("run.json"), text)
        assert floto("timeline", "run.json").code == 0
        assert len(history(text)["events"]) == 16
