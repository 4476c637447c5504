"""`surefoot new`: a project of one's own, as a copy of the reference desk that passes its own tests.

The reference desk comes with the package, or lies in the examples of a checkout. The copy takes another name
everywhere where the desk's own stands: its package, its workflow, its environment variables.
"""

from __future__ import annotations

import json
import keyword
import re
import shutil
import sys
from pathlib import Path

import click

from ..errors import TargetError, UsageError
from ..models.recordings import key_of
from .failures import DONE
from .options import Given, command

_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.tmp", "training")
_TEXT = frozenset({".py", ".md", ".toml", ".yaml", ".json", ".sql", ".csv", ""})
_TAKEN = sys.stdlib_module_names | {"surefoot", "tests"}


@command("new")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--name", metavar="NAME", help="The project's name. [default: the name of DIR]")
def new(given: Given, folder: Path, name: str | None) -> int:
    """Make a project: the support desk under a name of your own.

    It runs and passes its own tests as it is; its README says where to change what. Nothing is ever
    overwritten: DIR must be new, or empty.
    """
    package = package_name(name or folder.resolve().name)
    project = package.replace("_", "-")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty",
            why="a new project overwrites nothing",
            remedy="Name a folder that is new or empty.",
        )
    _copy(reference_folder(), folder, package, project)
    if given.output.json:
        given.output.document({"folder": str(folder.resolve()), "package": package, "workflow": project})
        return DONE
    say = given.output.say
    say(f"{folder} is a project of its own now, with the workflow {project} in {package}/.\n", "good")
    say(f"  cd {folder}\n  surefoot serve          see it in the browser: start a run, approve a refund")
    say(f"  surefoot run --input {package}/tickets/02-towels.json")
    say("  python -m pytest        its tests: every ticket ends as it should")
    say("  surefoot check          what may it do, and what is missing?\n")
    say("README.md tells what to install for that, and where to change what.")
    return DONE


def reference_folder() -> Path:
    """The reference desk's project: inside the installed package, or in the checkout. Raises TargetError."""
    package = Path(__file__).parents[1]
    for folder in (package / "_reference", package.parents[1] / "examples" / "support_desk"):
        if (folder / "support_desk" / "workflow.py").is_file():
            return folder
    raise TargetError(
        "the support desk is not here",
        why="neither this installation nor a checkout around it has the reference workflow",
        remedy="Install surefoot again: pip install --force-reinstall surefoot.",
    )


def package_name(name: str) -> str:
    """`claims_desk` of "Claims-Desk". Raises UsageError where Python could not import it."""
    package = re.sub(r"[-\s.]+", "_", name.strip().lower())
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", package) or keyword.iskeyword(package) or package in _TAKEN:
        raise UsageError(
            f"{name!r} is no name for a project",
            why="it becomes a package that Python imports, beside the packages that exist already",
            remedy="Give another one: letters, digits and hyphens, such as --name claims-desk.",
        )
    return package


def _copy(reference: Path, folder: Path, package: str, project: str) -> None:
    shutil.copytree(reference, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
    if package != "support_desk":
        (folder / "support_desk").rename(folder / package)
    renamed = {"support_desk": package, "support-desk": project, "SUPPORT_DESK": package.upper()}
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix in _TEXT:
            text = file.read_text(encoding="utf-8")
            made = re.sub("|".join(renamed), lambda found: renamed[found[0]], text)
            if made != text:
                file.write_text(made, encoding="utf-8")
    for file in folder.rglob("recordings/*.json"):
        file.write_text(_pinned_again(file.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / ".gitignore").write_text(".surefoot/\n__pycache__/\n", encoding="utf-8")


def _pinned_again(text: str) -> str:
    """A recording of a renamed workflow: answers are pinned to what was asked, the model's name included."""
    for turn in json.loads(text).get("turns", ()):
        text = text.replace(turn["key"], key_of(turn["request"]))
    return text
