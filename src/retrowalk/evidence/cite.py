"""Write the reference of a source as text, in few words, or as a BibTeX entry."""

from __future__ import annotations

import re

from retrowalk.evidence.rows import Source

_AUTHOR = re.compile(r"^(?P<family>.+?) (?P<initials>[A-Z]{1,3})$")
_LONGEST_NAME = 30
_SPECIAL = re.compile(r"([&%$#_{}])")


def as_text(source: Source) -> str:
    """Citation, then DOI or address."""
    text = source.citation.rstrip(".") + "."
    if source.doi:
        return f"{text} https://doi.org/{source.doi}"
    return f"{text} {source.url}" if source.url else text


def as_short(source: Source) -> str:
    """First author, year and DOI: ``Alghadir 2019, doi 10.1186/s12891-019-2537-9``."""
    authors, _ = _split_authors(source.citation)
    family = authors[0].partition(",")[0].replace("\\", "") if authors else ""
    # A title that ends in capitals reads like a name; no family is that long.
    known = source.year is not None and 0 < len(family) <= _LONGEST_NAME
    name = f"{family} {source.year}" if known else source.id
    return f"{name}, doi {source.doi}" if source.doi else name


def as_bibtex(source: Source) -> str:
    """A ``@misc`` entry; authors and title apart where the citation shows where they end."""
    authors, rest = _split_authors(source.citation)
    fields: dict[str, str] = {}
    if authors:
        title, _, published = rest.partition(". ")
        fields = {
            "author": " and ".join(authors),
            "title": _escape(title),
            "howpublished": _escape(published),
        }
    else:
        fields = {"title": _escape(source.citation)}
    fields |= {"year": str(source.year or ""), "doi": source.doi, "url": source.url}
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{source.id},\n" + ",\n".join(lines) + "\n}"


def _split_authors(citation: str) -> tuple[list[str], str]:
    head, _, rest = citation.partition(". ")
    names = [name.strip() for name in head.removesuffix(" et al").split(", ")]
    matches = [_AUTHOR.match(name) for name in names if name != "et al"]
    if not rest or not matches or not all(matches):
        return [], citation
    authors = [_escape(f"{m['family']}, {'. '.join(m['initials'])}.") for m in matches if m]
    return ([*authors, "others"] if "et al" in head else authors), rest


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
