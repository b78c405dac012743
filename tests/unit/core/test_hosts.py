"""Names of hosts, without a network."""

from __future__ import annotations

import pytest

from floto.core.hosts import host_name, is_loopback

NAMES = [
    ("localhost", "localhost"),
    ("LOCALHOST:80", "localhost"),
    ("127.0.0.1:1", "127.0.0.1"),
    ("[::1]", "::1"),
    ("[::1]:8044", "::1"),
    ("swf.internal:", "swf.internal"),
]


@pytest.mark.parametrize(("header", "name"), NAMES)
def test_host_name_is_without_port_and_in_lower_case(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "header",
    ["[::1].evil.example", "[::1]x", "[::1]:80.evil.example", "[::1", "[", "localhost:80:x", "localhost:x"],
)
def test_header_that_is_not_a_host_and_a_port_names_no_loopback_host(header: str) -> None:
    assert not is_loopback(host_name(header))
