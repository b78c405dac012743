"""URLs of services, and the environment that names one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from floto.core.errors import ServiceFault
from floto.runtime.connect import UnknownService, client, connect, service_for

INVALID = (
    *("", "floto.db", "sqlite://", "sqlite:///", "sqlite:floto.db", "aws:", "aws:EU!", "ftp://x"),
    *("http://", "http://[::1", "http://host:99999", "http://host:port", "http://:80"),
)


@pytest.mark.parametrize("url", INVALID)
@pytest.mark.parametrize("opening", [connect, client, lambda url: service_for(url, None)])
def test_invalid_service_url_raises_listing_the_valid_forms(
    opening: Callable[[str], object], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTO_SERVICE", "memory:")
    with pytest.raises(UnknownService, match="use sqlite:///relative"):
        opening(url)


def test_file_in_a_missing_directory_raises_naming_it() -> None:
    with pytest.raises(UnknownService, match="directory that does not exist"):
        connect("sqlite:////no/such/place/floto.db")


def test_client_and_service_share_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    with contextlib.closing(connect(url, "mine")) as service:
        service.prepare([], [])
    swf = client(url)
    assert swf.describe_domain(name="mine")["domainInfo"]["status"] == "REGISTERED"
    swf.close()


def test_service_defaults_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTO_SERVICE", f"sqlite:///{tmp_path}/two.db")
    with contextlib.closing(service_for(None, None)) as service:
        service.prepare([], [])
    with contextlib.closing(client()) as swf:
        assert swf.list_domains(registrationStatus="REGISTERED")["domainInfos"]
    monkeypatch.setenv("FLOTO_SERVICE", "nonsense")
    with pytest.raises(UnknownService, match="'nonsense'"):
        client()


def test_files_are_relative_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    connect("sqlite:///here.db").close()
    connect(f"sqlite:///{tmp_path}/there.db").close()
    assert {"here.db", "there.db"} <= {path.name for path in tmp_path.iterdir()}


def test_aws_without_a_region_raises_naming_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/no/such/file")
    with pytest.raises(ServiceFault, match="region"):
        connect("aws")
    connect("aws:eu-west-1").close()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    connect("http://localhost:1234", "shop").close()
