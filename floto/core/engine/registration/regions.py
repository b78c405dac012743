"""Regions: domains are scoped per region, and several regions share one store.

The key of a domain is its name in the default region, else the region, a slash and its name: SWF allows no
slash in the name of a domain, so no client can name a domain of another region.

Source: https://docs.aws.amazon.com/general/latest/gr/swf.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from attrs import evolve

from floto.core.swf.pollers import Backlog, Live, Poller

_T = TypeVar("_T", Backlog, Poller)

#: Region of callers that set none: files of the embedded engine, and unsigned requests.
DEFAULT_REGION = "us-east-1"


def domain_key(region: str, name: str) -> str:
    """Return the key under which a store keeps a domain."""
    return name if region == DEFAULT_REGION else f"{region}/{name}"


def region_of(key: str) -> str:
    """Return the region of a stored domain."""
    region, slash, _ = key.partition("/")
    return region if slash else DEFAULT_REGION


def name_of(key: str) -> str:
    """Return the name of a stored domain in its region."""
    return key.partition("/")[2] or key


def of_region(live: Live, region: str) -> Live:
    """Return the pollers and backlogs of one region, with the plain names of its domains."""
    pollers = None if live.pollers is None else _of_region(live.pollers, region)
    return evolve(live, backlogs=_of_region(live.backlogs, region), pollers=pollers)


def _of_region(items: Iterable[_T], region: str) -> tuple[_T, ...]:
    return tuple(
        evolve(each, domain=name_of(each.domain)) for each in items if region_of(each.domain) == region
    )
