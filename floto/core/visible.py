"""Escaping of untrusted text for output: one value is one line, without terminal control sequences.

Ids, inputs, results, reasons and messages come from people who start runs, write activities or save
histories. Control characters (terminals execute them, and a line end forges a line), bidirectional controls
(they reverse text), zero-width characters, odd spaces and unpaired surrogates (they are invisible) are
replaced by the escapes of ``repr``. These are the characters for which ``str.isprintable`` is False.

``visible`` is idempotent, so text may be escaped more than once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime


def moment_text(at: datetime) -> str:
    """Return a time in UTC with seconds, for output: ``2026-11-28 08:03:10Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def span_text(start: datetime, end: datetime) -> str:
    """Return how much later ``end`` is, for a person, in two units: ``2h03m``, ``41s``, ``350ms``."""
    exact = max((end - start).total_seconds(), 0)
    if 0 < exact < 1:
        return f"{max(int(exact * 1000), 1)}ms"
    seconds = int(exact)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    days = hours // 24
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"


def first_few(texts: Sequence[str], most: int = 5, separator: str = ", ") -> str:
    """Return the first of some texts, and how many more there are."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def shortened(text: str, most: int, end: str = "...") -> str:
    """Return a text of at most ``most`` characters; a longer one has ``end`` in place of its last ones."""
    return text if len(text) <= most else f"{text[: most - len(end)]}{end}"


def encodable(text: str) -> str:
    """Return a text without unpaired surrogates, which UTF-8 cannot encode."""
    return text.encode(errors="replace").decode()


def shorten_middle(text: str, most: int, gap: str = " ... {:,} characters ... ") -> str:
    """Return a text of at most ``most`` characters; a longer one has ``gap`` in place of its middle."""
    if len(text) <= most:
        return text
    gap = gap.format(len(text))
    head = (most - len(gap)) * 3 // 4
    return f"{text[:head]}{gap}{text[len(text) - (most - len(gap) - head) :]}"


def visible(text: str) -> str:
    r"""Return a value as one line of printable characters: ``\x1b``, ``\n`` and the like for all others."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def visible_lines(text: str) -> str:
    """Return text with each of its lines ``visible``; only line feeds stay."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    r"""Return the same JSON with every unprintable character inside its strings as ``\uXXXX``."""
    return "\n".join(
        line if line.isprintable() else "".join(map(_in_json, line)) for line in text.split("\n")
    )


def shell_word(text: str) -> str:
    r"""Return text as one word of a POSIX shell that is also safe to print.

    Unprintable characters have the escapes of bash, zsh and POSIX.1-2024: ``$'\033'``.
    """
    if not text.isprintable():
        return f"$'{''.join(map(_in_shell, text))}'"
    return text if _PLAIN_WORD.fullmatch(text) else "'" + text.replace("'", "'\"'\"'") + "'"


def shell_command(*words: str, arguments: Sequence[str] = ()) -> str:
    """Return a command line to copy and paste; no argument is taken for an option."""
    dashes = ["--"] if any(each.startswith("-") for each in arguments) else []
    return " ".join(map(shell_word, [*words, *dashes, *arguments]))


#: A word without shell metacharacters; zsh expands a leading ``=``.
_PLAIN_WORD = re.compile(r"[\w@%+:,./-][\w@%+=:,./-]*")


def is_plain_word(text: str) -> bool:
    """Return True if text is the same word in every shell, and no command takes it for an option."""
    return _PLAIN_WORD.fullmatch(text) is not None and not text.startswith("-")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _in_json(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def _in_shell(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    # Python reads a byte of a file name that is not UTF-8 as one of these surrogates.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    # Octal, because hexadecimal escapes have no fixed length in every shell.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", errors))
