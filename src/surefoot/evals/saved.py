"""The latest reports of evals, kept beside the store, where the console and `eval diff` find them.

One JSON document each: what `surefoot eval --json` prints, with when it was made, of what target, and which
scenarios were asked for. Names begin with the moment, so that they sort by time; of older ones only the
newest are kept. They tell of evals and are no evidence: whoever needs that keeps what a build wrote.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..state.opening import DEFAULT_STORE, place_of
from .reports import to_json
from .reports.words import scrubbed, visible
from .results import SuiteResult

KEPT = 50
NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]+\.json", re.ASCII)


@dataclass(frozen=True)
class SavedReport:
    """`only` names what of the suite was run; empty is all of it. `document` is the whole report, as
    `surefoot eval --json` prints it, with what cannot be seen made visible."""

    path: Path
    when: datetime
    target: str
    lane: str
    verdict: str
    only: Sequence[str]
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Its file's, without the ending: unlike any other report's of that folder."""
        return self.path.stem


def folder_beside(store: str) -> Path:
    """Where the reports of a store's evals lie: `evals` beside its file, or beside where a file would be."""
    place = place_of(store) if store.startswith("sqlite:") else place_of(DEFAULT_STORE)
    return Path(place).parent / "evals"


def save_report(
    folder: Path, result: SuiteResult, *, target: str, token: str, when: datetime, only: Sequence[str] = ()
) -> Path:
    """Writes it whole or not at all, and takes away the oldest beyond those that are kept. Raises OSError."""
    when = when.astimezone(UTC)
    shown = to_json(scrubbed(result, visible))  # halves of letters would break whoever writes them on a page
    document = {"when": when.isoformat(), "target": target, "only": list(only), **shown}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{when:%Y%m%dT%H%M%S}.{when.microsecond // 1000:03}Z-{token}.json"
    half = path.with_suffix(".half")
    half.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    os.replace(half, path)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)  # another eval may be tidying up as well
    return path


def saved_reports(folder: Path) -> list[SavedReport]:
    """The newest first. A folder that is not there holds none, and a file that is no report is left out: one
    that somebody damaged must not hide the others."""
    found = []
    for path in _newest_first(folder):
        try:
            found.append(read_report(path))
        except InvalidInput:
            continue
    return found


def read_report(path: Path) -> SavedReport:
    """Raises InvalidInput for a file that is no report, or is gone."""
    try:
        document = json.loads(path.read_text("utf-8"))
        texts = {name: document[name] for name in ("target", "lane", "verdict")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("target, lane and verdict are not all texts")
        if not isinstance(document["scenarios"], list):
            raise TypeError("scenarios is no list")
        when = datetime.fromisoformat(document["when"]).astimezone(UTC)
        only = [str(name) for name in document.get("only", [])]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"{path} is no saved report of an eval",
            why=f"{type(error).__name__}: {error}",
            remedy="`surefoot eval` writes one each time it ends; this one may be taken away.",
        ) from error
    return SavedReport(path, when, only=only, document=document, **texts)


def _newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*.json") if NAME.fullmatch(path.name)), reverse=True)
