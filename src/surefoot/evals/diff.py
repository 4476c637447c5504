"""What changed from one eval to another, or from one baseline to another.

Both are read as the same entries: by scenario, how it ended, the effects that were made, what it cost. This
only tells; whether a change is red is the gate's to say.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import InvalidInput, UsageError
from . import baseline
from .results import ScenarioResult

Kind = Literal["result", "baseline"]


@dataclass(frozen=True)
class Entry:
    """Of one scenario. `verdict` and `why` are empty in a baseline; `effects` None where a lane tells none;
    tokens and usd are a trial's mean; `live` by model: [passes, trials]."""

    id: str
    verdict: str = ""
    why: str = ""
    must: bool = False
    checks: str = ""
    effects: Sequence[str] | None = None
    tokens: float = 0
    usd: float = 0
    live: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """One of the two files. `controls` is [caught, planted], and `missed` what was not caught."""

    path: str
    kind: Kind
    entries: Mapping[str, Entry]
    verdict: str = ""
    controls: tuple[int, int] = (0, 0)
    missed: Sequence[str] = ()

    @property
    def tokens(self) -> float:
        return sum(one.tokens for one in self.entries.values())

    @property
    def usd(self) -> float:
        return sum(one.usd for one in self.entries.values())


@dataclass(frozen=True)
class Changed:
    """One scenario, with a line for each thing that is not as it was."""

    id: str
    before: str
    after: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """`became` is by the verdict that scenarios have now and did not have before; of a baseline it is
    empty."""

    kind: Kind
    verdict: tuple[str, str]
    became: Mapping[str, Sequence[Changed]]
    changed: Sequence[Changed]
    """Scenarios whose verdict is the same, and something else is not."""
    added: Sequence[str]
    removed: Sequence[str]
    tokens: tuple[float, float]
    usd: tuple[float, float]
    controls: tuple[tuple[int, int], tuple[int, int]]
    newly_missed: Sequence[str]

    @property
    def is_same(self) -> bool:
        moved = self.became or self.changed or self.added or self.removed or self.newly_missed
        return not moved and self.verdict[0] == self.verdict[1] and self.controls[0] == self.controls[1]

    def to_json(self) -> dict[str, Any]:
        return {"same": self.is_same, **asdict(self)}


def compare(before: Side, after: Side) -> Comparison:
    """Raises UsageError where one is an eval's result and the other a baseline."""
    if before.kind != after.kind:
        raise UsageError(
            f"{before.path} is a {before.kind}, and {after.path} a {after.kind}",
            why="only two of a kind say the same things",
            remedy="Compare two files of `surefoot eval --json`, or two baselines.",
        )
    became: dict[str, list[Changed]] = {}
    changed = []
    for name, now in after.entries.items():
        was = before.entries.get(name)
        if was is None:
            continue
        lines = changes(was, now)
        if was.verdict != now.verdict:
            why = [now.why] if now.why else []
            became.setdefault(now.verdict, []).append(Changed(name, was.verdict, now.verdict, why + lines))
        elif lines:
            changed.append(Changed(name, was.verdict, now.verdict, lines))
    return Comparison(
        kind=after.kind,
        verdict=(before.verdict, after.verdict),
        became=became,
        changed=changed,
        added=[name for name in after.entries if name not in before.entries],
        removed=[name for name in before.entries if name not in after.entries],
        tokens=(before.tokens, after.tokens),
        usd=(before.usd, after.usd),
        controls=(before.controls, after.controls),
        newly_missed=[one for one in after.missed if one not in before.missed],
    )


def changes(was: Entry, now: Entry) -> list[str]:
    """One line for each thing beside the verdict."""
    found = []
    if was.must and not now.must:
        found.append("it is no `must` any more")
    if was.checks and now.checks and was.checks != now.checks:
        found.append("what it expects was changed")
    if was.effects is not None and now.effects is not None and list(was.effects) != list(now.effects):
        found += _effects(was.effects, now.effects)
    if was.tokens != now.tokens:
        found.append(f"tokens: {was.tokens:,g} before, now {now.tokens:,g}{_share(was.tokens, now.tokens)}")
    if was.usd != now.usd:
        found.append(f"usd: {was.usd:g} before, now {now.usd:g}{_share(was.usd, now.usd)}")
    for model in dict.fromkeys([*was.live, *now.live]):
        one, other = was.live.get(model), now.live.get(model)
        if (one and list(one)) != (other and list(other)):
            found.append(f"{model}: {_rate(one)} before, now {_rate(other)}")
    return found


def against_baseline(one: ScenarioResult) -> list[str]:
    """What a scenario does otherwise than was accepted, also where that is no regression."""
    if one.baseline is None or "calls" not in one.baseline or not one.trials:
        return []
    accepted = Entry(
        one.id, effects=one.baseline["calls"], tokens=one.baseline["tokens"], usd=one.baseline["usd"]
    )
    trial = one.trials[0]
    if not trial.usage:
        return []
    tokens, usd = _cost(trial.usage)
    return changes(accepted, Entry(one.id, effects=trial.calls, tokens=tokens, usd=usd))


def _effects(was: Sequence[str], now: Sequence[str]) -> list[str]:
    gone, came = Counter(was) - Counter(now), Counter(now) - Counter(was)
    if not gone and not came:
        return [f"effects in another order: {', '.join(now)}"]
    said = [f"effect no more: {effect}{_times(number)}" for effect, number in gone.items()]
    return said + [f"new effect: {effect}{_times(number)}" for effect, number in came.items()]


def _times(number: int) -> str:
    return f" ({number} times)" if number > 1 else ""


def _share(was: float, now: float) -> str:
    return f" ({(now - was) / was:+.0%})" if was else ""


def _rate(counts: Sequence[int] | None) -> str:
    return f"{counts[0]} of {counts[1]}" if counts else "no trials"


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def read(path: Path) -> Side:
    """What `surefoot eval --json` printed, or a baseline. Raises InvalidInput."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error)) from error
    try:
        found = json.loads(text)
    except ValueError:
        found = None  # a baseline has a line for each scenario
    if isinstance(found, dict) and "scenarios" in found:
        try:
            return _of_result(str(path), found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"{path} is no result of an eval",
                why=f"{type(error).__name__}: {error}",
                remedy="Make it again with `surefoot eval --json`.",
            ) from error
    is_baseline = found is None or (isinstance(found, dict) and "checks" in found)
    lines = baseline.read(path) if is_baseline else {}
    if not lines:
        raise InvalidInput(
            f"{path} is neither a result of an eval nor a baseline",
            why="there is no scenario in it",
            remedy="Name what `surefoot eval --json` printed, or a scenarios/baseline.jsonl.",
        )
    return Side(str(path), "baseline", {name: _of_line(line) for name, line in lines.items()})


def _of_line(line: baseline.Line) -> Entry:
    return Entry(
        id=line.id,
        must=line.must,
        checks=line.checks,
        effects=list(line.calls),
        tokens=line.tokens,
        usd=line.usd,
        live=line.live,
    )


def _of_result(path: str, found: Mapping[str, Any]) -> Side:
    controls = found["negative_controls"]
    is_replay = found["lane"] == "replay"
    return Side(
        path=path,
        kind="result",
        entries={one["id"]: _of_scenario(one, is_replay=is_replay) for one in found["scenarios"]},
        verdict=found["verdict"],
        controls=(controls["caught"], controls["planted"]),
        missed=[f"{one['scenario']}: {one['what']}" for one in controls["missed"]],
    )


def _of_scenario(one: Mapping[str, Any], *, is_replay: bool) -> Entry:
    trials = one["trials"]
    costs = [_cost(trial["usage"]) for trial in trials if trial["usage"]]
    passed = sum(trial["outcome"] == "pass" for trial in trials)
    scored = sum(trial["outcome"] in ("pass", "fail") for trial in trials)
    return Entry(
        id=one["id"],
        verdict=one["verdict"],
        why=one["why"],
        must=one["must"],
        effects=trials[0]["effects"] if is_replay and trials else None,
        tokens=sum(tokens for tokens, _ in costs) / max(len(costs), 1),
        usd=sum(usd for _, usd in costs) / max(len(costs), 1),
        live={} if is_replay else {"trials passed": [passed, scored]},
    )


def _cost(usage: Mapping[str, Any]) -> tuple[int, float]:
    tokens = int(usage.get("tokens_in", 0)) + int(usage.get("tokens_out", 0))
    return tokens, float(usage.get("usd", 0))
