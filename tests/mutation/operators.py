"""Mutation operators: the changes that are possible in a module, one place at a time, as syntax trees.

Not mutated are texts for people (docstrings, f-strings, sentences, messages of errors, labels of
enums), annotations, imports and decorators.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
}
_LARGE = 1_000
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "ceil": "floor"}


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for number, operator in enumerate(node.ops):
        for other in _COMPARED[type(operator)]:
            yield ast.Compare(
                node.left, [*node.ops[:number], other(), *node.ops[number + 1 :]], node.comparators
            )


def _join(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for left_out in node.values:
        rest = [value for value in node.values if value is not left_out]
        yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _negate(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


def _compute(node: ast.BinOp) -> Iterator[ast.AST]:
    if type(node.op) in _COMPUTED:
        yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        # One more or less of a limit in the thousands is no other limit.
        yield from map(ast.Constant, (value + 1, value - 1) if value < _LARGE else (value * 10, value // 10))
    elif isinstance(value, str) and " " not in value:
        yield ast.Constant("" if value else "mutant")


def _choose(node: ast.If | ast.IfExp | ast.While) -> Iterator[ast.AST]:
    for value in (True, False):
        yield _with(node, test=ast.Constant(value))


def _filter(node: ast.comprehension) -> Iterator[ast.AST]:
    for left_out in node.ifs:
        yield _with(node, ifs=[test for test in node.ifs if test is not left_out])


def _call(node: ast.Call) -> Iterator[ast.AST]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in _CALLED:
        yield _with(node, func=ast.Name(_CALLED[function.id], ast.Load()))
    if isinstance(function, ast.Attribute) and function.attr in _CALLED:
        yield _with(node, func=_with(function, attr=_CALLED[function.attr]))


def _keyword(node: ast.keyword) -> Iterator[ast.AST]:
    if not isinstance(node.value, ast.Constant):
        yield _with(node, value=ast.Constant(None))


def _members(node: ast.Tuple | ast.List | ast.Set) -> Iterator[ast.AST]:
    # Other tuples have a member for each place: an error at once.
    is_set = not isinstance(node, ast.Tuple) or all(isinstance(each, ast.Attribute) for each in node.elts)
    if is_set:
        for left_out in node.elts:
            yield _with(node, elts=[each for each in node.elts if each is not left_out])


def _entries(node: ast.Dict) -> Iterator[ast.AST]:
    for left_out in range(len(node.keys)):
        kept = [number for number in range(len(node.keys)) if number != left_out]
        yield ast.Dict([node.keys[number] for number in kept], [node.values[number] for number in kept])


def _slice(node: ast.Subscript) -> Iterator[ast.AST]:
    if isinstance(node.slice, ast.Slice):
        yield node.value


def _return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield ast.Return(ast.Constant(None))


def _remove(node: ast.stmt) -> Iterator[ast.AST]:
    if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple)):
        yield ast.Pass()


OPERATORS: dict[type[ast.AST], Callable[[Any], Iterator[ast.AST]]] = {
    ast.Compare: _compare,
    ast.BoolOp: _join,
    ast.UnaryOp: _negate,
    ast.BinOp: _compute,
    ast.Constant: _constant,
    ast.If: _choose,
    ast.IfExp: _choose,
    ast.While: _choose,
    ast.comprehension: _filter,
    ast.Call: _call,
    ast.keyword: _keyword,
    ast.Tuple: _members,
    ast.List: _members,
    ast.Set: _members,
    ast.Dict: _entries,
    ast.Subscript: _slice,
    ast.Return: _return,
    ast.Assign: _remove,
    ast.AugAssign: _remove,
    ast.Expr: _remove,
    ast.Continue: _remove,
    ast.Raise: _remove,
}
_LEFT_ALONE = (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Raise)
_ANNOTATIONS = ("annotation", "returns", "decorator_list", "bases")


def _with(node: ast.AST, **changes: Any) -> ast.AST:
    fields = {name: getattr(node, name, None) for name in node._fields}
    return type(node)(**{**fields, **changes})


@frozen(eq=False)
class Place:
    """A node, and the field of its parent (and the number in it) that holds it."""

    parent: ast.AST
    field: str
    number: int | None
    node: ast.AST
    #: The function or class it is in.
    scope: str
    #: The innermost statement it is in.
    statement: ast.stmt

    def put(self, node: ast.AST) -> None:
        """Put another node there."""
        if self.number is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.number] = node


@frozen(eq=False)
class Mutant:
    """One change of a module of floto's core."""

    module: str
    line: int
    scope: str
    before: str
    after: str
    #: 2 for the second place in a module where the same is changed in the same words, ...
    number: int
    place: Place
    node: ast.AST

    @property
    def text(self) -> str:
        """The name of the mutant, independent of its line number."""
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.module} {self.scope}: {self.before} -> {self.after}{again}"

    def apply(self) -> None:
        """Make the change in the tree it comes from."""
        self.place.put(ast.fix_missing_locations(ast.copy_location(self.node, self.place.node)))


def mutants(module: str, tree: ast.Module) -> list[Mutant]:
    """Every mutant of a module, in order; their texts differ."""
    found: list[Mutant] = []
    seen: Counter[tuple[str, ...]] = Counter()
    for place in _places(tree, "module", tree.body[0]):
        for node in OPERATORS.get(type(place.node), _none)(place.node):
            words = (place.scope, *_change(place, node))
            seen[words] += 1
            line = getattr(place.node, "lineno", place.statement.lineno)
            found.append(Mutant(module, line, *words, seen[words], place, node))
    return found


def _none(_node: ast.AST) -> Iterator[ast.AST]:
    return iter(())


def _change(place: Place, node: ast.AST) -> tuple[str, str]:
    before = _line(place.statement)
    place.put(node)
    after = _line(node if place.node is place.statement else place.statement)
    place.put(place.node)
    return before, after


def _line(node: ast.AST) -> str:
    """A statement on one line, without the statements in it."""
    inner = {"body": [ast.Expr(ast.Constant(...))], "orelse": [], "finalbody": []}
    if isinstance(node, ast.stmt) and "body" in node._fields:
        node = _with(node, **{name: value for name, value in inner.items() if name in node._fields})
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())


def _places(node: ast.AST, scope: str, statement: ast.stmt) -> Iterator[Place]:
    for field, value in ast.iter_fields(node):
        if field in _ANNOTATIONS or isinstance(node, _LEFT_ALONE) or _is_label(node, field):
            continue
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_docstring(child):
                within, inner = statement, scope
                if isinstance(child, ast.stmt):
                    within, inner = child, _scope(child, scope)
                yield Place(node, field, number, child, inner, within)
                yield from _places(child, inner, within)


def _scope(statement: ast.stmt, outer: str) -> str:
    name = getattr(statement, "name", None)
    if name is None:
        return outer
    return name if outer == "module" else f"{outer}.{name}"


def _is_label(node: ast.AST, field: str) -> bool:
    """Return True if these are the members of an enum."""
    is_enum = isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases)
    return is_enum and field == "body"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
