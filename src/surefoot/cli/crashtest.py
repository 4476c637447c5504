"""`surefoot crashtest`: the user's own workflow, killed at every durable commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from ..errors import UsageError
from ..evals.crashtest import Crashed, Moment
from ..evals.crashtest import crashtest as test
from ..evals.suite import load
from ..evals.trial import Stage
from .eval import folder_of, models_of, world_of
from .failures import DONE, FAILED
from .formats import count
from .opening import warn_of_unknown
from .options import Given, command, target_argument
from .output import Output, clean
from .progress import telling
from .target import load_target


@command("crashtest")
@target_argument
@click.option("--only", multiple=True, metavar="NAME", help="Only scenarios of this id or tag.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Kills side by side. [default: as many as there are cores]",
)
def crashtest(given: Given, target: str | None, only: tuple[str, ...], processes: int | None) -> int:
    """Kill a workflow at every durable commit, and see each effect happen once.

    Runs the chosen scenarios in processes that die by SIGKILL right before and right after each commit, lets
    another process go on, and compares output and world with the undisturbed run. Exit code 1 where anything
    differs.

    \b
    Examples:
      surefoot crashtest
      surefoot crashtest --only refunds
    """
    output, settings = given.output, given.settings
    workflow = load_target(target, settings)
    warn_of_unknown(given, settings)
    suite = load(folder_of(settings), world_of(settings)).only(only)
    stage = Stage(workflow, suite.world, models_of(workflow, settings), settings.grants, settings.people)
    found: list[Crashed] = []
    with telling(output, quiet=not output.is_live) as place:
        heard = _progress(place.now, len(suite.scenarios), found)
        for one in test(stage, suite, heard=heard, beside=processes):
            found.append(one)
            _tell(output, one)
    kills, wrong = sum(one.kills for one in found), sum(len(one.wrong) for one in found)
    if not kills:
        raise UsageError(
            "nothing was killed",
            why="; ".join(f"{one.scenario}: {one.skipped}" for one in found if one.skipped)[:500],
            remedy="Record the scenarios first: `surefoot eval --record`.",
        )
    if output.json:
        output.document(
            {"kills": kills, "wrong": wrong, "ok": not wrong, "scenarios": [asdict(one) for one in found]}
        )
    else:
        said = f"{count(wrong, 'kill')} came to something else" if wrong else "every output the same"
        killed = f"{count(kills, 'kill')} in {count(len(found), 'scenario')}"
        output.answer(f"{killed}: {said}", "bad" if wrong else "good")
    return FAILED if wrong else DONE


def _progress(
    now: Callable[[str], None], scenarios: int, found: list[Crashed]
) -> Callable[[str, int, Moment], None]:
    """One line, redrawn: where it is, and how many kills so far."""
    kills = 0

    def heard(scenario: str, commit: int, moment: Moment) -> None:
        nonlocal kills
        kills += 1
        now(
            f"{len(found) + 1} of {scenarios} scenarios, {scenario}: {moment} commit {commit}, "
            f"{count(kills, 'kill')}"
        )

    return heard


def _tell(output: Output, one: Crashed) -> None:
    if one.skipped:
        output.say(f"{one.scenario}: skipped, {clean(one.skipped)}", "warn")
        return
    output.say(f"{one.scenario}: {count(one.kills, 'kill')} at {count(one.commits, 'commit')}")
    for wrong in one.wrong:
        where = f"killed {wrong.moment} commit {wrong.commit}"
        after = f" (last on disk: {wrong.last})" if wrong.last else ""
        output.say(f"  {where}{clean(after)}: {clean('; '.join(wrong.what))}", "bad")
