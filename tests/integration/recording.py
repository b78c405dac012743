"""A client that notes what the service answered, held against botocore's model of SWF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import field, frozen
from botocore.exceptions import ClientError

from floto.adapters.model import MODEL, OPERATIONS, faults_of

#: What can be answered: a member of a shape, a value of an enum, or a fault of an operation.
Item = tuple[str, str]


def answerable() -> set[Item]:
    """All that the model has in answers: every operation, member, value of an enum and fault."""
    outputs = {name: MODEL.operation_model(name).output_shape for name in OPERATIONS}
    found = {item for shape in outputs.values() if shape is not None for item in _items(shape)}
    found |= {(name, "answers") for name in OPERATIONS}
    return found | {(name, fault) for name in OPERATIONS for fault in faults_of(name)}


def _items(shape: Any) -> Iterator[Item]:
    """Yield the members that a shape may contain, at any depth; SWF's responses are not recursive."""
    for name, member in getattr(shape, "members", {}).items():
        yield shape.name, name
        yield from _items(member)
    for value in getattr(shape, "enum", ()):
        yield shape.name, value
    if shape.type_name == "list":
        yield from _items(shape.member)


def _said(shape: Any, value: Any) -> Iterator[Item]:
    """Yield the members of a response; fail for one that its shape does not have."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield shape.name, name
            yield from _said(shape.members[name], member)
    elif shape.type_name == "list":
        for member in value:
            yield from _said(shape.member, member)
    elif getattr(shape, "enum", None):
        assert value in shape.enum
        yield shape.name, value


@frozen
class Recording:
    """A client, and what it was answered."""

    client: Any
    seen: set[Item] = field(factory=set)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        operation = self.client.meta.method_to_api_mapping.get(name)
        return value if operation is None else self._recorded(operation, value)

    def _recorded(self, operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            try:
                answer = method(**request)
            except ClientError as error:
                self.seen.add((operation, error.response["Error"]["Code"]))
                raise
            self.seen.add((operation, "answers"))
            shape = MODEL.operation_model(operation).output_shape
            said = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
            assert said == {} or shape is not None
            self.seen.update(_said(shape, said) if shape is not None else ())
            return answer

        return call
