"""The catalogue of errors: for every code what failed, why that happens, and what to do, as data.

An error itself says what failed this time; the catalogue says what its code means in general. The texts lie
in error_catalogue.toml and are read when the first error needs one: neither `import surefoot` nor a run that
goes well ever opens the file. `surefoot explain CODE` prints an entry, docs/reference/errors.md holds them
all, and an HTTP answer takes its status from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("error_catalogue.toml")
PAGE = "docs/reference/errors.md"
"""The page that has a heading for each code."""


@dataclass(frozen=True)
class Entry:
    """`why` and `remedy` are sentences, the likeliest first; `exit` is a command's, `status` that of HTTP."""

    code: str
    title: str
    why: tuple[str, ...]
    remedy: tuple[str, ...]
    exit: int
    status: int
    transient: bool
    since: str

    @property
    def docs(self) -> str:
        return f"{PAGE}#{self.code}"


def read(content: str) -> dict[str, Entry]:
    """Raises ValueError, KeyError or TypeError for what is no catalogue."""
    import tomllib  # noqa: PLC0415  only who meets an error pays for it

    found = {}
    for code, fields in tomllib.loads(content).items():
        texts = {name: tuple(fields[name]) for name in ("why", "remedy")}
        found[code] = Entry(code, **{**fields, **texts})
    return found


@cache
def entries() -> Mapping[str, Entry]:
    return read(FILE.read_text(encoding="utf-8"))


def entry(code: str) -> Entry | None:
    """None for a code of somebody's own, and where the file cannot be read: too many open files, for one,
    must not hide the error that is being told."""
    try:
        return entries().get(code)
    except OSError:
        return None


def default_remedy(code: str) -> str:
    found = entry(code)
    return found.remedy[0] if found else f"`surefoot explain {code}` may tell more."


def docs_of(code: str) -> str:
    """Page and anchor of a code; the page alone for one that is not ours."""
    found = entry(code)
    return found.docs if found else PAGE


def shown(code: str, what: str, why: str = "", remedy: str = "", *, docs: str = "") -> dict[str, Any]:
    """An error as JSON shows it: code, what, why, remedy, docs. What it does not say, its code says."""
    found = entry(code)
    meaning = found.title if found else "it is an error of the workflow's own, or of another version"
    return {
        "code": code,
        "what": what,
        "why": why or meaning,
        "remedy": remedy or default_remedy(code),
        "docs": docs or docs_of(code),
    }
