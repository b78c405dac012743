"""A graph in the languages of Graphviz and Mermaid."""

from __future__ import annotations

from floto.core.visible import visible
from floto.pictures.colours import of_status
from floto.pictures.graph import Graph, Node

#: Characters, besides letters and digits, that Mermaid needs no entity for.
_UNESCAPED = frozenset(" ._-:/()")


def dot(graph: Graph) -> str:
    """Return a graph in Graphviz's DOT language."""
    lines = [
        "digraph floto {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
    ]
    for number, node in enumerate(graph.nodes):
        fill, border = of_status(node.status)
        label = _quoted("\n".join(_lines(node)))
        lines.append(f'  n{number} [label={label}, fillcolor="{fill}", color="{border}"];')
    for arrow in graph.arrows:
        style = " [style=dashed]" if arrow.generated else ""
        lines.append(f"  n{arrow.start} -> n{arrow.end}{style};")
    return "\n".join([*lines, "}", ""])


def mermaid(graph: Graph) -> str:
    """Return a graph as a Mermaid flowchart."""
    lines = ["flowchart LR"]
    for number, node in enumerate(graph.nodes):
        lines.append(f'  n{number}["{"<br/>".join(map(_entities, _lines(node)))}"]')
    lines += [
        f"  n{arrow.start} {'-.->' if arrow.generated else '-->'} n{arrow.end}" for arrow in graph.arrows
    ]
    for number, node in enumerate(graph.nodes):
        fill, border = of_status(node.status)
        lines.append(f"  style n{number} fill:{fill},stroke:{border},color:#1f2933")
    return "\n".join([*lines, ""])


def _lines(node: Node) -> list[str]:
    return [visible(node.id), describe(node), *([visible(node.rules)] if node.rules else [])]


def describe(node: Node) -> str:
    """Return the kind of a task, its status and its attempt."""
    tries = f" (attempt {node.attempt})" if node.attempt > 1 else ""
    kind = f"{node.kind} {node.role}".rstrip()
    return kind if node.status is None else f"{kind}: {node.status}{tries}"


def _quoted(text: str) -> str:
    # Graphviz decodes entities in labels.
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _entities(text: str) -> str:
    # Mermaid accepts every character as an entity, and gives many characters a meaning of their own.
    return "".join(
        character if character.isalnum() or character in _UNESCAPED else f"#{ord(character)};"
        for character in text
    )
