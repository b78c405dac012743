"""The parent's side of a decider in a separate process: its settings, and starting it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from subprocess import PIPE, Popen
from typing import Any

from attrs import define, frozen

from floto import logs
from floto.core.errors import FlotoError
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.service import Service
from floto.core.swf.shapes import WorkflowType

log = logging.getLogger("floto")

#: Main program of the separate process. Its standard input is one line of JSON with the settings; the end of
#: the input tells it that the parent has ended.
ENTRY = "floto.runtime.deciders.decider_process_main"


@define
class CannotSeparate(FlotoError, TypeError):
    """A decider that cannot run in a separate process, and the reason."""

    problem: str

    def __str__(self) -> str:
        """Return the problem and a remedy."""
        return f"a decider with {self.problem} cannot run in a separate process"


@frozen(kw_only=True)
class DeciderSettings:
    """The arguments of a decider."""

    spec: DeciderSpec | None
    specs: Mapping[WorkflowType, DeciderSpec]
    service: Service | str
    domain: str | None
    task_list: str | None
    identity: str | None
    codec: Codec
    payloads: Store | str | None
    listener: object | None
    metrics: object | None
    poll_seconds: float
    take_over: bool = False
    sole: bool = False

    def to_json(self) -> str:
        """Return one line of JSON for building the decider in another process. Raises ``CannotSeparate``."""
        for is_obstacle, problem in self._obstacles():
            if is_obstacle:
                raise CannotSeparate(problem)
        values: dict[str, Any] = {
            "spec": self.spec and CODEC.unstructure(self.spec),
            "specs": [
                [kind.name, kind.version, CODEC.unstructure(spec)] for kind, spec in self.specs.items()
            ],
            "service": self.service,
            "domain": self.domain,
            "task_list": self.task_list,
            "identity": self.identity,
            "payloads": self.payloads,
            "poll_seconds": self.poll_seconds,
            "take_over": self.take_over,
            "sole": self.sole,
            "log_level": log.getEffectiveLevel(),
            "log_format": logs.current_format(),
        }
        return json.dumps(values)

    def _obstacles(self) -> tuple[tuple[bool, str], ...]:
        service = self.service
        return (
            (not isinstance(service, str), "a service given as an object (give its URL)"),
            (service == "memory:", "service 'memory:', which another process cannot open (use a file)"),
            (self.codec != CODEC, "a codec of its own (run it in a program that has the codec)"),
            (
                not isinstance(self.payloads, str | None),
                "payloads given as an object (give its directory or s3://bucket/prefix)",
            ),
            (self.listener is not None, "a listener"),
            (self.metrics is not None, "metrics"),
        )


#: Keeps the processes alive: without a reference, the pipe would be closed and the process would end.
_started: list[Popen[bytes]] = []


def start(settings: DeciderSettings) -> Popen[bytes]:
    """Start a decider in a separate process. Raises ``CannotSeparate``."""
    line = settings.to_json().encode()
    _forget_ended()
    process = Popen([sys.executable, "-m", ENTRY], stdin=PIPE)  # noqa: S603 - this very program
    _started.append(process)
    _send(process, line + b"\n")
    return process


def _send(process: Popen[bytes], line: bytes) -> None:
    # A process that ended at once has printed its error.
    with suppress(BrokenPipeError):
        if process.stdin is not None:
            process.stdin.write(line)
            process.stdin.flush()


def _forget_ended() -> None:
    for process in [old for old in _started if old.poll() is not None]:
        _started.remove(process)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
