"""Names and addresses of hosts, examined without a network."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

#: A Host header: an IPv6 address in brackets, or a name or IPv4 address, and a port.
_HOST_HEADER = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")


def host_name(header: str) -> str:
    """Return the name or address in a Host header, in lower case; the header itself if it is not valid."""
    found = _HOST_HEADER.fullmatch(header)
    return header.lower() if found is None else (found[1] or found[2] or "").lower()


def is_loopback(host: str) -> bool:
    """Return True if the name or address of a host is that of this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str | None) -> bool:
    """Return True if the host of a URL is this machine; False for a string that is not a URL."""
    try:
        return is_loopback(urlsplit(url or "").hostname or "")
    except ValueError:
        return False
