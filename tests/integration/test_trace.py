"""Traces as a collector gets them, from commands in processes of their own."""

from __future__ import annotations

import json
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.view.trace import trace
from tests.integration.commands import PATIENCE, Shell, wait_for


class Collector(ThreadingHTTPServer):
    """What a collector keeps of the requests that it gets."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Any] = []
        self.headers: list[Any] = []
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def runs(self) -> dict[str, str]:
        """The status of each run, by its workflow id."""
        roots = [_attributes(span) for span in tuple(self.spans) if not span.parent_span_id]
        return {root["floto.workflow_id"]: root["floto.status"] for root in roots}


def _attributes(span: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.server.headers.append(self.headers)
        self.server.spans += [
            span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans
        ]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    with Collector(port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def start(shell: Shell, name: str) -> None:
    shell.here("start", "--spec", "flow.py:spec", "--workflow-id", name)


def test_runs_and_files_are_sent_and_written(shell: Shell) -> None:
    start(shell, "w")
    shell.here("terminate", "w", "--reason", "too late")
    shell.here("history", "w", "-o", "w.json")
    with collecting() as collector:
        said = shell("trace", "w", "--to", collector.url, OTEL_EXPORTER_OTLP_HEADERS="api-key=k").stderr
        shell("trace", "w.json", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert "sent 1 spans" in said
    first, second = collector.spans
    assert first == second
    assert collector.runs == {"w": "TERMINATED"}
    assert first.status.message == "too late"
    assert [each["api-key"] for each in collector.headers] == ["k", None]
    shell.here("trace", "w.json", "w", "-o", "trace.json")
    written = json.loads((shell.cwd / "trace.json").read_text())
    [one, other] = written["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert one == other
    assert one["spanId"] == first.span_id.hex()


def test_every_run_that_closes_is_sent_also_after_an_outage_of_the_collector(shell: Shell) -> None:
    for name in ("before", "w", "lost"):
        start(shell, name)
    shell.here("terminate", "before")
    with collecting() as collector:
        port = collector.server_port
        with shell.loop("trace", "--follow", "--since", "1h", "--to", collector.url) as following:
            wait_for(lambda: "before" in collector.runs)
            shell.here("cancel", "w")
            shell("run", "flow.py:other", "--workflow-id", "done", "--activities", "acts.py")
            wait_for(lambda: "done" in collector.runs)
            assert collector.runs == {"before": "TERMINATED", "done": "COMPLETED"}
            collector.shutdown()
            collector.server_close()
            shell.here("terminate", "lost")
            with collecting(port) as again:
                wait_for(lambda: "lost" in again.runs)
                assert list(again.runs) == ["lost"]
            following.send_signal(signal.SIGTERM)
            assert following.wait(PATIENCE) == 0
    assert len(collector.runs) == 2


def test_follower_of_a_service_that_is_away_ends_at_a_signal(shell: Shell) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as hanging:
        url = f"http://127.0.0.1:{hanging.server_port}"
        with shell.loop("trace", "--follow", "--service", url, "--verbose") as following:
            assert following.stderr is not None
            wait_for(lambda: hanging.socket in select.select([hanging.socket], [], [], 0)[0])
            following.send_signal(signal.SIGINT)
            hanging.server_close()
            assert following.wait(PATIENCE) == 0


def test_follower_creates_no_file(shell: Shell) -> None:
    assert "there is no file" in shell("trace", "--follow", code=2).stderr
    assert not (shell.cwd / "floto.db").exists()


def test_collector_that_is_not_there_is_an_error(shell: Shell) -> None:
    start(shell, "w")
    with collecting() as collector:
        url = collector.url
    done = shell("trace", "w", "--to", url, code=2, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert "floto: the collector did not take 1 spans" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give runs or histories"),
        (("w", "--follow"), "leave out runs"),
        (("--follow", "-o", "x.json"), "leave out runs"),
        (("w", "--since", "1h"), "--follow with --since"),
        (("w", "--to", "collector:4318"), "is not http://HOST:PORT"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    start(shell, "w")
    assert said in shell.here("trace", *arguments, code=2)[1]


def test_without_the_extra_the_command_says_what_to_install(shell: Shell) -> None:
    start(shell, "w")
    for arguments in (("w",), ("--follow",)):
        assert "pip install 'floto[traces]'" in shell.without("opentelemetry", "trace", *arguments)


def test_spans_of_an_activity_are_below_its_attempt(tmp_path: Path) -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    activities = floto.Activities()

    @activities.activity(name="work", version="1")
    def work() -> None:
        carrier = {"traceparent": floto.current().traceparent}
        above = TraceContextTextMapPropagator().extract(carrier)
        with provider.get_tracer("own").start_as_current_span("own", context=above):
            pass

    spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(name="work", version="1")])
    url = f"sqlite:///{tmp_path}/db"
    floto.run(spec, activities=activities, service=url, workflow_id="w")
    with SqliteService(tmp_path / "db") as service:
        info = service.latest_execution("w")
        assert info is not None
        history = floto.History(service.history(info.execution), info.execution)
    [attempt] = [span for span in trace(history) if span.name == "attempt"]
    [own] = exported.get_finished_spans()
    assert own.parent is not None
    assert f"{own.parent.trace_id:032x}" == attempt.context.trace_id
    assert f"{own.parent.span_id:016x}" == attempt.context.span_id
