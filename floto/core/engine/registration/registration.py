"""Rules of domains and types: register, deprecate, undeprecate, delete, tag.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_RegisterWorkflowType.html
and its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import evolve

from floto.core.engine import faults
from floto.core.engine.registration.regions import region_of
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.registration.type_settings import ActivityDefaults, WorkflowDefaults
from floto.core.engine.stores.store import RunStore
from floto.core.swf import limits
from floto.core.swf.floto_defaults import RETENTION_DAYS
from floto.core.swf.shapes import ActivityType, WorkflowType

AnyType = ActivityType | WorkflowType


class Registration:
    """Operations on domains and types; they do not affect open runs.

    Each raises ``ServiceFault``, or its subclass ``UnknownResource``, as SWF does.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def need_domain(self, name: str) -> Domain:
        """Return the domain of this key; raise ``UnknownResource`` if it is not registered."""
        domain = self._store.domain(name)
        if domain is None:
            raise faults.unknown_domain(name)
        return domain

    def register_domain(self, domain: Domain) -> None:
        """Carry out RegisterDomain; the name of a deprecated domain stays in use."""
        if self._store.domain(domain.name) is not None:
            raise faults.domain_exists(domain.name)
        if len(domain.tags) > limits.TAG_LIMIT:
            raise faults.too_many_tags()
        region = region_of(domain.name)
        if sum(region_of(each.name) == region for each in self._store.domains()) >= limits.DOMAIN_LIMIT:
            raise faults.limit_exceeded(limits.DOMAIN_LIMIT, "domains")
        self._store.put_domain(domain)

    def deprecate_domain(self, name: str, now: datetime) -> None:
        """Carry out DeprecateDomain, which deprecates the types of the domain too."""
        domain = self.need_domain(name)
        if domain.is_deprecated:
            raise faults.domain_deprecated(name)
        self._store.put_domain(evolve(domain, is_deprecated=True))
        for kind in (ActivityType, WorkflowType):
            for registered in self._store.types(name, kind):
                if registered.deprecated_at is None:
                    self._store.put_type(name, evolve(registered, deprecated_at=now))

    def undeprecate_domain(self, name: str) -> None:
        """Carry out UndeprecateDomain."""
        domain = self.need_domain(name)
        if not domain.is_deprecated:
            raise faults.domain_exists(name)
        # SWF does not document whether this undeprecates its types; here they stay deprecated.
        self._store.put_domain(evolve(domain, is_deprecated=False))

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Carry out TagResource: a new value replaces that of the same key."""
        domain = self.need_domain(name)
        together = {**domain.tags, **tags}
        if len(together) > limits.TAG_LIMIT:
            raise faults.too_many_tags()
        self._store.put_domain(evolve(domain, tags=together))

    def untag(self, name: str, keys: Iterable[str]) -> None:
        """Carry out UntagResource; unknown keys are ignored."""
        domain, gone = self.need_domain(name), set(keys)
        kept = {key: value for key, value in domain.tags.items() if key not in gone}
        self._store.put_domain(evolve(domain, tags=kept))

    def need_type(self, domain: str, type_: AnyType) -> RegisteredType:
        """Return a registered type; raise ``UnknownResource`` if the domain or type is not registered."""
        self.need_domain(domain)
        registered = self._store.registered(domain, type_)
        if registered is None:
            raise faults.unknown_type(type_)
        return registered

    def register_type(self, domain: str, registered: RegisteredType) -> None:
        """Carry out RegisterActivityType or RegisterWorkflowType; defaults cannot be changed afterwards."""
        if self.need_domain(domain).is_deprecated:
            # SWF's model of this call lists no such fault, but no other fits.
            raise faults.domain_deprecated(domain)
        if self._store.registered(domain, registered.type) is not None:
            raise faults.type_exists(registered.type)
        if len(self._store.types(domain, type(registered.type))) >= limits.TYPE_LIMIT:
            raise faults.limit_exceeded(limits.TYPE_LIMIT, "types of a kind in a domain")
        self._store.put_type(domain, registered)

    def deprecate_type(self, domain: str, type_: AnyType, now: datetime) -> None:
        """Carry out DeprecateActivityType or DeprecateWorkflowType: no new task or run can have the type."""
        registered = self.need_type(domain, type_)
        if registered.deprecated_at is not None:
            raise faults.type_deprecated(type_)
        self._store.put_type(domain, evolve(registered, deprecated_at=now))

    def undeprecate_type(self, domain: str, type_: AnyType) -> None:
        """Carry out UndeprecateActivityType or UndeprecateWorkflowType."""
        registered = self.need_type(domain, type_)
        if registered.deprecated_at is None:
            raise faults.type_exists(type_)
        self._store.put_type(domain, evolve(registered, deprecated_at=None))

    def delete_type(self, domain: str, type_: AnyType) -> None:
        """Carry out DeleteActivityType or DeleteWorkflowType on a deprecated type."""
        if self.need_type(domain, type_).deprecated_at is None:
            raise faults.type_not_deprecated()
        self._store.drop_type(domain, type_)

    def ensure(
        self,
        domain: str,
        types: Mapping[AnyType, ActivityDefaults | WorkflowDefaults],
        now: datetime,
    ) -> None:
        """Register the domain and the types that are not registered; leave the others unchanged."""
        if self._store.domain(domain) is None:
            self._store.put_domain(Domain(name=domain, retention=str(RETENTION_DAYS)))
        for type_, defaults in types.items():
            if self._store.registered(domain, type_) is None:
                self._store.put_type(domain, RegisteredType(type=type_, defaults=defaults, created_at=now))
