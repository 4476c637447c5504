"""Adapters of the embedded model: found, pinned, and used for the answers that they are for, no others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import DefinitionError, ModelRefused
from surefoot.models.providers import adapters, open_model
from surefoot.models.providers.adapters import Adapter, adapter_of, split
from surefoot.models.providers.embedded import EmbeddedModel
from surefoot.models.providers.embedded_process import Want
from surefoot.models.providers.weights import Weights, default_weights

from .subjects import ask

WEIGHTS = Weights(Path("/weights/model.gguf"), "a" * 64)
CONTENT = b"GGUF and the rest"
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes an adapter that is in order, with `changes` of its manifest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(place: str = "mine", **changes: Any) -> Path:
        here = tmp_path / place
        here.mkdir(parents=True)
        (here / "one.gguf").write_bytes(CONTENT)
        manifest = {
            "file": "one.gguf",
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "weights": WEIGHTS.sha256,
        }
        (here / "adapter.json").write_text(json.dumps({**manifest, "outputs": ["Triage"], **changes}))
        return here

    return write


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("", ("", "")),
        ("smollm2", ("smollm2", "")),
        ("smollm2+desk/adapter", ("smollm2", "desk/adapter")),
        ("+desk/adapter", ("", "desk/adapter")),
        ("/models/a.gguf+mine", ("/models/a.gguf", "mine")),
        ("/models/a+b.gguf", ("/models/a+b.gguf", "")),
    ],
)
def test_a_models_name_names_its_adapter_after_a_plus(model: str, parts: tuple[str, str]) -> None:
    assert split(model) == parts


def test_one_that_is_in_order_is_used_for_the_outputs_that_it_names(folder: Write) -> None:
    found = adapter_of(str(folder()), WEIGHTS)
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert found.is_for("Triage")
    assert not found.is_for("Reply")
    assert Adapter("any", found.path, found.sha256).is_for("Reply"), "one that names none is for all"


def test_one_inside_a_package_is_found_without_importing_it(
    folder: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder("site/desk_of_a_test/adapter")
    (tmp_path / "site" / "desk_of_a_test" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    assert adapters.missing("desk_of_a_test/adapter") is None
    assert adapter_of("desk_of_a_test/adapter", WEIGHTS).path.is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, "not the one"),
        ({"weights": "b" * 64}, "other weights"),
        ({"file": "two.gguf"}, "not beside it"),
        ({"file": "../mine/one.gguf"}, "not beside it"),
        ({"file": 7}, "not beside it"),
        ({"outputs": 7}, "cannot be read"),
    ],
)
def test_one_that_is_not_what_it_says_is_refused(folder: Write, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelRefused, match=words):
        adapter_of(str(folder(**changes)), WEIGHTS)


def test_a_changed_file_is_refused_even_if_it_was_seen_before(folder: Write) -> None:
    here = folder()
    adapter_of(str(here), WEIGHTS)
    (here / "one.gguf").write_bytes(CONTENT + b".")
    with pytest.raises(ModelRefused, match="not the one"):
        adapter_of(str(here), WEIGHTS)


@pytest.mark.parametrize("name", ["no/such/place", "surefoot/core", "..", "a b/c", "__main__"])
def test_one_that_is_not_there_is_said_to_be_missing_before_anything_starts(name: str) -> None:
    assert adapters.missing(name)
    with pytest.raises(ModelRefused):
        adapter_of(name, WEIGHTS)


def test_a_workflow_that_names_a_missing_adapter_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("surefoot.models.providers.weights.missing", lambda: None)
    with pytest.raises(DefinitionError, match="cannot run here") as caught:
        open_model("embedded:smollm2+no/such/place")
    assert "adapter.json" in caught.value.why


def test_two_models_with_and_without_an_adapter_do_not_share_a_child(folder: Write) -> None:
    with_one = Want(WEIGHTS, 1, 512, adapter_of(str(folder()), WEIGHTS))
    assert with_one != Want(WEIGHTS, 1, 512)


@pytest.mark.anyio
@pytest.mark.live_embedded
async def test_an_adapter_changes_only_the_answers_that_it_is_for() -> None:
    """The desk's own adapter, asked for its own output and for another one."""
    place = Path(__file__).parents[2] / "examples" / "support_desk" / "support_desk" / "adapter"
    plain, adapted = open_model("embedded"), open_model(f"embedded:smollm2+{place}")
    assert isinstance(adapted, EmbeddedModel)
    mine, other = ask(output_name="Triage"), ask(output_name="Wording")
    heard, unheard, as_it_comes = (
        await adapted.request(mine),
        await adapted.request(other),
        await plain.request(mine),
    )
    again = await adapted.request(mine)
    await plain.close()
    await adapted.close()
    version = default_weights().version
    assert unheard.text == as_it_comes.text
    assert unheard.version == as_it_comes.version == version
    assert heard.version.startswith(f"{version}+triage@sha256:")
    assert heard.text == again.text
