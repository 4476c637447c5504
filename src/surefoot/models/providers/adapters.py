"""Adapters of the embedded model: a small file that makes the large one good at one task.

An adapter is a folder with `adapter.json` and a GGUF file (a LoRA of a few megabytes):

    {"file": "triage.gguf", "sha256": "...", "weights": "<sha256 of the weights it was trained on>",
     "outputs": ["Triage"]}

It is used for answers of these types only (the names of the output models; none listed: for all), because
what makes a model good at one form makes it bad at everything else. A file that is not the one that
adapter.json names, or that was trained on other weights, is refused: it would answer, and wrongly.

In a model's name an adapter stands after a plus: `embedded:smollm2+support_desk/adapter` is the folder
`adapter` of the package `support_desk`, or that path from here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ModelRefused
from .weights import Weights, digest

MANIFEST = "adapter.json"


@dataclass(frozen=True, slots=True)
class Adapter:
    """`name` is as the model's name has it; `outputs` the types of answers it is for (empty: all)."""

    name: str
    path: Path
    sha256: str
    outputs: frozenset[str] = frozenset()

    @property
    def version(self) -> str:
        return f"{self.path.stem}@sha256:{self.sha256[:12]}"

    def is_for(self, output: str) -> bool:
        return not self.outputs or output in self.outputs


def split(model: str) -> tuple[str, str]:
    """("smollm2", "desk/adapter") of "smollm2+desk/adapter"; the second is "" where none is named."""
    base, plus, adapter = model.rpartition("+")
    if not plus or (base not in ("", "smollm2") and not base.endswith(".gguf")):
        return model, ""  # a plus inside the path of a file
    return base, adapter


def missing(name: str) -> str | None:
    """Why this adapter cannot be used, or None. Quick: nothing is hashed."""
    folder = _folder(name)
    if folder is None:
        return f"there is no {MANIFEST} in {name}, as a path from here or in a package"
    try:
        _manifest(folder)
    except ModelRefused as error:
        return error.why
    return None


def adapter_of(name: str, weights: Weights) -> Adapter:
    """The adapter called `name`, checked against its manifest and the weights. Raises ModelRefused."""
    folder = _folder(name)
    if folder is None:
        raise ModelRefused(f"the adapter {name} is not here", why=missing(name) or "", remedy=REMEDY)
    manifest = _manifest(folder)
    path = (folder / manifest["file"]).resolve()
    found = digest(path)
    if found != manifest["sha256"]:
        raise ModelRefused(
            f"the adapter {name} is not the one that its {MANIFEST} names",
            why=f"sha256 of {path.name} is {found[:16]}..., expected {manifest['sha256'][:16]}...",
            remedy=REMEDY,
        )
    if manifest["weights"] != weights.sha256:
        raise ModelRefused(
            f"the adapter {name} was trained on other weights",
            why=f"on {manifest['weights'][:16]}..., and {weights.path.name} is {weights.sha256[:16]}...",
            remedy="Use it with the weights that it was trained on, or train it anew.",
        )
    return Adapter(name, path, found, frozenset(manifest["outputs"]))


def adapters_here(weights: Weights) -> list[tuple[str, Adapter | ModelRefused]]:
    """The adapters of this folder and of the packages in it, by name; or what is wrong with one."""
    found: list[tuple[str, Adapter | ModelRefused]] = []
    for file in sorted([*Path().glob(f"*/{MANIFEST}"), *Path().glob(f"*/*/{MANIFEST}")]):
        name = file.parent.as_posix()
        try:
            found.append((name, adapter_of(name, weights)))
        except ModelRefused as error:
            found.append((name, error))
    return found


REMEDY = "Restore its folder, or use the model as it comes: embedded:smollm2"


def _folder(name: str) -> Path | None:
    """As a path from here, else inside a package; a package is found without running any of its code."""
    here = Path(name).expanduser()
    if (here / MANIFEST).is_file():
        return here
    package, _, rest = name.partition("/")
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except ValueError:  # a package without a spec, such as __main__
        spec = None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / rest / MANIFEST).is_file():
            return Path(place) / rest
    return None


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        texts = {key: str(found[key]) for key in ("file", "sha256", "weights")}
        outputs = [str(one) for one in found.get("outputs", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{file.name} cannot be read: {type(error).__name__} {error}"
        raise ModelRefused(f"the adapter in {folder} is not usable", why=why, remedy=REMEDY) from None
    if Path(texts["file"]).name != texts["file"] or not (folder / texts["file"]).is_file():
        why = f"{file.name} names {texts['file']}, which is not beside it"
        raise ModelRefused(f"the adapter in {folder} is not usable", why=why, remedy=REMEDY)
    return {**texts, "outputs": outputs}
