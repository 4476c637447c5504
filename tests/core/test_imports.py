"""What `import surefoot` costs is what it imports: nothing that only some programs need, and nothing slow."""

import os
import subprocess
import sys

import pytest

ONLY_WHEN_NEEDED = [
    "openai",
    "anthropic",
    "genai_prices",
    "rich",
    "click",
    "opentelemetry",
    "jsonschema",
    "referencing",
    "httpx",
    "httpx2",
    "yaml",
    "fastapi",
    "xllamacpp",
    "surefoot.cli",
    "surefoot.testing",
    "surefoot.state.conformance",
]

PROGRAM = """
import sys
before = set(sys.modules)
import surefoot
for name in surefoot.__all__:
    getattr(surefoot, name)
print(*sorted(set(sys.modules) - before), sep="\\n")
"""


def imported(program: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # Its own process, since this one has imported everything by now.
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return found.stdout.split()


@pytest.fixture(scope="module")
def modules() -> list[str]:
    return imported(PROGRAM)


@pytest.mark.parametrize("name", ONLY_WHEN_NEEDED)
def test_the_import_brings_in_nothing_that_only_some_programs_need(modules: list[str], name: str) -> None:
    assert "surefoot.orchestrator.runtime" in modules
    assert [one for one in modules if one == name or one.startswith(name + ".")] == []


def test_a_tool_from_elsewhere_brings_in_its_validator_and_nothing_more() -> None:
    program = """
import sys
from surefoot import Effect, Tool
Tool.from_schema("t", "", {"type": "object"}, lambda call, arguments: 1, effect=Effect.READ)
print(*sys.modules, sep="\\n")
"""
    found = imported(program)
    assert "jsonschema" in found
    assert not {"httpx", "requests", "openai", "click"} & set(found)
