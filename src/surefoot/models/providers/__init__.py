"""The models that a workflow can name: `openai:NAME`, `anthropic:NAME`, `embedded`.

A spec is opened by `open_model`. What a provider needs (an SDK, a runtime, weights) is looked for
then, so that what is missing is said at the start; it is imported when the first request is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from ...core.model import Model, ModelSettings
from ...errors import DefinitionError, ModelRefused
from . import adapters, weights

PROVIDERS = {"openai": "OpenAIModel", "anthropic": "AnthropicModel", "embedded": "EmbeddedModel"}
"""Each provider's module here, and its class in it."""

VARIABLES = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
}
"""The environment variables of key and base URL, the ones that the providers' own SDKs read."""


def open_model(spec: str | Model, settings: Mapping[str, ModelSettings] | None = None) -> Model:
    """The model of `spec`; a model is returned as it is.

    `settings` are by spec or by provider, the spec first; without any, they come from the environment.
    Raises DefinitionError for a spec that names nothing, or needs what is not installed.
    """
    if not isinstance(spec, str):
        return spec
    provider, _, model = spec.partition(":")
    if provider not in PROVIDERS or (not model and provider != "embedded"):
        raise DefinitionError(
            f"{spec!r} names no model",
            why=f"{provider!r} is no provider" if provider not in PROVIDERS else "it has no model's name",
            remedy="Write openai:NAME (any server that speaks OpenAI's API), anthropic:NAME, or embedded.",
        )
    if provider == "embedded":
        _check_embedded(spec, model)
    elif find_spec(provider) is None:
        raise DefinitionError(
            f"{spec!r} needs the package {provider}",
            why="it is not installed",
            remedy=f"pip install 'surefoot[{provider}]'",
        )
    if settings is None:
        settings = settings_from_environment()
    chosen = settings.get(spec) or settings.get(provider) or ModelSettings()
    # A provider's module costs what it imports, so it is imported by those who name it.
    module = import_module(f".{provider}", __package__)
    opened: Model = getattr(module, PROVIDERS[provider])(spec, model, chosen)
    return opened


def settings_from_environment(environment: Mapping[str, str] | None = None) -> dict[str, ModelSettings]:
    """Keys and base URLs, by provider, from the variables that the providers' own SDKs read."""
    environment = os.environ if environment is None else environment
    return {
        provider: ModelSettings(
            api_key=environment.get(key, "").strip() or None,
            base_url=environment.get(url, "").strip() or None,
        )
        for provider, (key, url) in VARIABLES.items()
    }


def embedded_available() -> str | None:
    """Why `embedded` cannot run here, or None where it can. Quick: for `surefoot doctor` and tests."""
    return weights.missing()


def embedded_adapters() -> list[tuple[str, adapters.Adapter | ModelRefused]]:
    """The adapters of this folder, held against the default weights. Raises ModelRefused without those."""
    return adapters.adapters_here(weights.default_weights())


def _check_embedded(spec: str, model: str) -> None:
    model, adapter = adapters.split(model)
    is_path = "/" in model or "\\" in model or model.endswith(".gguf")
    if model not in ("", "smollm2") and not is_path:
        raise DefinitionError(
            f"{spec!r} names no model",
            why=f"{model!r} is neither smollm2 nor the path of a GGUF file",
            remedy="Write embedded, embedded:/path/to/model.gguf, or embedded:smollm2+ADAPTER.",
        )
    if why := (weights.missing_runtime() if is_path else weights.missing()):
        raise DefinitionError(f"{spec!r} cannot run here", why=why, remedy=weights.REMEDY)
    if adapter and (why := adapters.missing(adapter)):
        raise DefinitionError(f"{spec!r} cannot run here", why=why, remedy=adapters.REMEDY)
