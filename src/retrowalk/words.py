"""Words that several rooms share, and the rule for text that is safe to print."""

from __future__ import annotations

import re

#: Characters that a terminal or an editor obeys instead of showing: controls (C0, C1, delete), line and
#: paragraph separators, marks that turn the direction of writing, invisible tags and halves of a character.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def unsafe_character(text: str) -> str:
    """The first character of a text that must not reach a terminal, as ``U+XXXX``; empty where all are safe.

    Unsafe are control characters (line breaks and tabs too), line and paragraph separators, bidirectional
    marks, byte order marks, invisible tags and lone surrogates.

    Examples
    --------
    >>> unsafe_character("Knee pain, 6 weeks")
    ''
    >>> unsafe_character("fine" + chr(0x1B) + "[2J")
    'U+001B'
    """
    found = _UNSAFE.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def printable(text: str, *, keep: str = "") -> str:
    r"""A text with every unsafe character (see `unsafe_character`) written as an escape such as ``\x1b``.

    Parameters
    ----------
    text : str
    keep : str
        Characters to leave as they are, such as a line break.

    Examples
    --------
    >>> print(printable("title" + chr(0x202E) + "eltit"))
    title\u202eeltit
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
