"""A decider in a process of its own, as the process sees it that wants one."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
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

#: What is told to the other process on its standard input: this as one line of JSON, and the end of this
#: process, by closing it.
ENTRY = "floto.runtime.deciders.decider_process_main"


@define
class CannotSeparate(FlotoError, TypeError):
    """A decider that another process cannot run, and why."""

    problem: str

    def __str__(self) -> str:
        """Why, and what would do."""
        return f"a decider with {self.problem} cannot run in a separate process"


@frozen(kw_only=True)
class Order:
    """What a decider was made with."""

    spec: DeciderSpec | None
    specs: Mapping[WorkflowType, DeciderSpec]
    service: Service | str
    domain: str | None
    task_list: str | None
    identity: str | None
    codec: Codec
    payloads: Store | str | None
    listener: Callable[..., None] | None
    poll_seconds: float
    take_over: bool = False
    sole: bool = False

    def to_json(self) -> str:
        """One line that another process can make an equal decider from. Raises ``CannotSeparate``."""
        for is_so, problem in self._obstacles():
            if is_so:
                raise CannotSeparate(problem)
        said: dict[str, Any] = {
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
        return json.dumps(said)

    def _obstacles(self) -> tuple[tuple[bool, str], ...]:
        service = self.service
        return (
            (not isinstance(service, str), "a service given as an object (give its URL)"),
            (service == "memory:", "service 'memory:', which no other process sees (use a file)"),
            (self.codec != CODEC, "a codec of its own (run it in a program that has the codec)"),
            (
                not isinstance(self.payloads, str | None),
                "payloads given as an object (give its directory or s3://bucket/prefix)",
            ),
            (self.listener is not None, "a listener"),
        )


#: A process ends with the last reference to its standard input: callers need not keep what they get.
_started: list[Popen[bytes]] = []


def start(order: Order) -> Popen[bytes]:
    """Start the process; raises ``CannotSeparate``."""
    line = order.to_json().encode()
    _forget_ended()
    process = Popen([sys.executable, "-m", ENTRY], stdin=PIPE)  # noqa: S603 - this very program
    _started.append(process)
    _say(process, line + b"\n")
    return process


def _say(process: Popen[bytes], line: bytes) -> None:
    # If it could not even begin, it has said why.
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
