"""Words that several rooms share, each listed once, and the rule for text that is safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum


class Grade(StrEnum):
    """What kind of study supports an effect of training on an outcome, from the weakest to the strongest.

    A member is the string that results hold, so ``Grade.ADD_ON == "add_on"``. The last two are no grades of
    evidence: they mark effects that the user supplied and arms that train nothing.

    Attributes
    ----------
    flag : int
        CF flag value in results. Stores keep it: a number once given is never given to another grade.
    label : str
        Words in a table.
    meaning : str
        What it means, in one line.
    trained : bool
        Whether trials of training stand behind it.
    reservation : str
        What is said in place of a verdict where such evidence carries none; else empty.

    Examples
    --------
    >>> Grade.ADD_ON.label
    'add-on trial'
    >>> Grade("none").reservation
    'by assumption only'
    """

    flag: int
    label: str
    meaning: str
    trained: bool
    reservation: str

    def __new__(
        cls, key: str, flag: int, trained: bool, label: str, meaning: str, reservation: str = ""
    ) -> Grade:
        """Make a member of a row below."""
        grade = str.__new__(cls, key)
        grade._value_ = key
        grade.flag, grade.trained, grade.label = flag, trained, label
        grade.meaning, grade.reservation = meaning, reservation
        return grade

    NONE = "none", 0, False, "no study", "the number comes from assumptions alone", "by assumption only"
    ACUTE_ONLY = (
        "acute_only", 1, False, "acute only",
        "only effects within minutes of a bout were studied, no training",
        "though only acute effects were studied",
    )  # fmt: skip
    CONTRADICTED = (
        "contradicted", 2, True, "contradicted",
        "studies disagree on the direction", "though studies disagree",
    )  # fmt: skip
    UNCONTROLLED = "uncontrolled", 3, True, "uncontrolled", "before-and-after studies without a control group"
    ADD_ON = (
        "add_on", 4, True, "add-on trial",
        "trials that added it to usual care, against usual care alone",
    )  # fmt: skip
    DOSE_MATCHED = (
        "dose_matched", 5, True, "dose-matched trial",
        "trials that compared it with another programme of equal dose",
    )  # fmt: skip
    UNTRAINED = (
        "untrained", 7, False, "no training",
        "nothing is done, or nothing beyond the reference arm",
    )  # fmt: skip
    USER = "user", 6, False, "your own numbers", "effects given in the scenario by its author"

    @property
    def strength(self) -> int:
        """Place among the grades: the stronger the evidence, the higher."""
        return list(Grade).index(self)


#: Every grade by its key.
GRADES = {grade.value: grade for grade in Grade}

#: Grades of evidence, from the weakest to the strongest.
EVIDENCE_GRADES = tuple(grade for grade in Grade if grade not in (Grade.USER, Grade.UNTRAINED))

#: All grades in the order of their CF flag values.
FLAGGED_GRADES = tuple(sorted(Grade, key=lambda grade: grade.flag))

#: What a baseline or a measurement error rests on, by its status, in words.
STATUSES = {
    "measured": "measured in such people",
    "derived": "derived from published figures",
    "assumed": "assumed, because no published value was found",
    "user": "given in the scenario",
}

#: Quantiles that results and predictions hold, ascending; the first and last enclose the central 90 %.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CENTRAL_90 = (QUANTILES[0], QUANTILES[-1])

#: The last lines of every output that shows a health effect.
CAUTION = (
    "Falls, injuries and flare-ups are not modelled; backward walking needs a rail or supervision at first; "
    "a simulation is no substitute for a health professional's advice."
)

#: A text that is compared with names is cut to this length, and more names than this are not listed.
_LONGEST_WORD, _MOST_LISTED = 80, 60


def nearest(word: object, known: Iterable[str]) -> str:
    """The known name that a misspelt word most likely stands for; empty where that would be a wild guess.

    A name is near within one edit, or where seven tenths of the letters are in both, in the same order.
    """
    from difflib import SequenceMatcher, get_close_matches  # only a fault needs it

    text = str(word)[:_LONGEST_WORD]
    close = next(iter(get_close_matches(text, list(known), n=1)), "")
    matcher = SequenceMatcher(None, close, text)
    changes = (edit for edit in matcher.get_opcodes() if edit[0] != "equal")
    edits = sum(max(end - start, last - first) for _, start, end, first, last in changes)
    return close if edits == 1 or matcher.ratio() >= 0.7 else ""


def suggestion(word: object, known: Iterable[str], *, listed: bool = True) -> str:
    """The end of a sentence about an unknown name: the nearest known one, else the list of all.

    Examples
    --------
    >>> suggestion("wolk", ["walk", "cycling"])
    "; did you mean 'walk'?"
    >>> suggestion("swim", ["walk", "cycling"])
    '; known are walk, cycling'
    """
    names = list(known)
    if near := nearest(word, names):
        return f"; did you mean {near!r}?"
    return f"; known are {', '.join(names)}" if listed and 0 < len(names) <= _MOST_LISTED else ""


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
