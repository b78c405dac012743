"""Domains and types: registered once, deprecated, brought back, deleted, tagged.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_RegisterWorkflowType.html
and its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import evolve

from floto.core.engine import faults
from floto.core.engine.registration.defaults import ActivityDefaults, WorkflowDefaults
from floto.core.engine.registration.regions import region_of
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.stores.store import RunStore
from floto.core.swf import limits
from floto.core.swf.defaults import RETENTION_DAYS
from floto.core.swf.shapes import ActivityType, WorkflowType

AnyType = ActivityType | WorkflowType


class Registration:
    """What can be done to domains and types; runs that are open go on whatever happens to theirs."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def need_domain(self, name: str) -> Domain:
        """The domain of this name; a fault if nobody registered it."""
        domain = self._store.domain(name)
        if domain is None:
            raise faults.unknown_domain(name)
        return domain

    def register_domain(self, domain: Domain) -> None:
        """RegisterDomain; a deprecated domain keeps its name."""
        if self._store.domain(domain.name) is not None:
            raise faults.domain_exists(domain.name)
        if len(domain.tags) > limits.TAG_LIMIT:
            raise faults.too_many_tags()
        region = region_of(domain.name)
        if sum(region_of(each.name) == region for each in self._store.domains()) >= limits.DOMAIN_LIMIT:
            raise faults.limit_exceeded(limits.DOMAIN_LIMIT, "domains")
        self._store.put_domain(domain)

    def deprecate_domain(self, name: str, now: datetime) -> None:
        """DeprecateDomain, which deprecates its types too."""
        domain = self.need_domain(name)
        if domain.is_deprecated:
            raise faults.domain_deprecated(name)
        self._store.put_domain(evolve(domain, is_deprecated=True))
        for kind in (ActivityType, WorkflowType):
            for registered in self._store.types(name, kind):
                if registered.deprecated_at is None:
                    self._store.put_type(name, evolve(registered, deprecated_at=now))

    def undeprecate_domain(self, name: str) -> None:
        """UndeprecateDomain."""
        domain = self.need_domain(name)
        if not domain.is_deprecated:
            raise faults.domain_exists(name)
        # Undocumented: whether its types come back with it. They were deprecated each, and stay so.
        self._store.put_domain(evolve(domain, is_deprecated=False))

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """TagResource: new values replace those of the same key."""
        domain = self.need_domain(name)
        together = {**domain.tags, **tags}
        if len(together) > limits.TAG_LIMIT:
            raise faults.too_many_tags()
        self._store.put_domain(evolve(domain, tags=together))

    def untag(self, name: str, keys: Iterable[str]) -> None:
        """UntagResource: keys that are not there do not matter."""
        domain, gone = self.need_domain(name), set(keys)
        kept = {key: value for key, value in domain.tags.items() if key not in gone}
        self._store.put_domain(evolve(domain, tags=kept))

    def need_type(self, domain: str, type_: AnyType) -> RegisteredType:
        """The registered type; a fault if there is no such domain or type."""
        self.need_domain(domain)
        registered = self._store.registered(domain, type_)
        if registered is None:
            raise faults.unknown_type(type_)
        return registered

    def register_type(self, domain: str, registered: RegisteredType) -> None:
        """RegisterActivityType, RegisterWorkflowType: defaults cannot be changed afterwards."""
        if self.need_domain(domain).is_deprecated:
            # Not among the faults modelled for this call, but no other says it.
            raise faults.domain_deprecated(domain)
        if self._store.registered(domain, registered.type) is not None:
            raise faults.type_exists(registered.type)
        if len(self._store.types(domain, type(registered.type))) >= limits.TYPE_LIMIT:
            raise faults.limit_exceeded(limits.TYPE_LIMIT, "types of a kind in a domain")
        self._store.put_type(domain, registered)

    def deprecate_type(self, domain: str, type_: AnyType, now: datetime) -> None:
        """DeprecateActivityType, DeprecateWorkflowType: no new task or run of it from now on."""
        registered = self.need_type(domain, type_)
        if registered.deprecated_at is not None:
            raise faults.type_deprecated(type_)
        self._store.put_type(domain, evolve(registered, deprecated_at=now))

    def undeprecate_type(self, domain: str, type_: AnyType) -> None:
        """UndeprecateActivityType, UndeprecateWorkflowType."""
        registered = self.need_type(domain, type_)
        if registered.deprecated_at is None:
            raise faults.type_exists(type_)
        self._store.put_type(domain, evolve(registered, deprecated_at=None))

    def delete_type(self, domain: str, type_: AnyType) -> None:
        """DeleteActivityType, DeleteWorkflowType: only what is deprecated; it may be registered again."""
        if self.need_type(domain, type_).deprecated_at is None:
            raise faults.type_not_deprecated()
        self._store.drop_type(domain, type_)

    def ensure(
        self,
        domain: str,
        types: Mapping[AnyType, ActivityDefaults | WorkflowDefaults],
        now: datetime,
        retention: str | None = str(RETENTION_DAYS),
    ) -> None:
        """Register what is not there yet, and leave alone what is."""
        if self._store.domain(domain) is None:
            self._store.put_domain(Domain(name=domain, retention=retention))
        for type_, defaults in types.items():
            if self._store.registered(domain, type_) is None:
                self._store.put_type(domain, RegisteredType(type=type_, defaults=defaults, created_at=now))
