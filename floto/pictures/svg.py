"""The shapes of the pictures, as SVG."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from floto.core.visible import visible_lines

_STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2933}"
    ".small{font-size:10.5px;fill:#52606d}.strong{font-weight:600}"
)
_PAPER = "#ffffff"
#: The approximate width of a character of the labels in pixels.
CHARACTER = 6.6


class Drawing:
    """An SVG picture that is being drawn; lengths are in pixels."""

    def __init__(self, title: str) -> None:
        self._root = Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        self._title = _printable(title)
        SubElement(self._root, "title").text = self._title
        SubElement(self._root, "style").text = _STYLE
        self._paper = SubElement(self._root, "rect", fill=_PAPER)

    def box(self, x: float, y: float, width: float, height: float, **look: Any) -> Element:
        """Draw a rectangle."""
        return self._add("rect", x=x, y=y, width=width, height=height, **look)

    def line(self, x1: float, y1: float, x2: float, y2: float, **look: Any) -> Element:
        """Draw a straight line."""
        return self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, **look)

    def path(self, d: str, **look: Any) -> Element:
        """Draw a path; ``d`` is in SVG's path syntax."""
        return self._add("path", d=d, fill="none", **look)

    def text(self, x: float, y: float, text: str, **look: Any) -> Element:
        """Write text; ``y`` is its base line."""
        element = self._add("text", x=x, y=y, **look)
        element.text = _printable(text)
        return element

    def svg(self, width: float, height: float) -> str:
        """Return the picture as SVG, with its final size."""
        size = {"width": _number(width), "height": _number(height)}
        self._root.attrib.update(size, viewBox=f"0 0 {size['width']} {size['height']}")
        self._paper.attrib.update(size)
        return tostring(self._root, encoding="unicode")

    def html(self, width: float, height: float) -> str:
        """Return the picture as an HTML page, with its final size."""
        title = Element("title")
        title.text = self._title
        head = f'<meta charset="utf-8">{tostring(title, encoding="unicode")}'
        return (
            f'<!doctype html>\n<html lang="en"><head>{head}'
            "<style>body{margin:16px;background:#fff}</style></head>\n"
            f"<body>{self.svg(width, height)}</body></html>\n"
        )

    def _add(self, tag: str, **attributes: Any) -> Element:
        named = {name.rstrip("_").replace("_", "-"): _value(value) for name, value in attributes.items()}
        return SubElement(self._root, tag, named)


def hint(element: Element, text: str) -> None:
    """Add a tooltip to a shape."""
    SubElement(element, "title").text = _printable(text)


def _value(value: Any) -> str:
    return _number(value) if isinstance(value, float | int) else str(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _printable(text: str) -> str:
    # XML cannot contain most control characters, nor unpaired surrogates.
    return visible_lines(text)
