"""The reference pages say what the code says: `scripts/reference.py` writes them, and nobody else."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from surefoot.catalogue import PAGE, entries

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli.md", "errors.md", "scenarios.md", "scenario.schema.json"])
def test_a_reference_page_is_what_the_code_says(reference: ModuleType, name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), "run scripts/reference.py"


def test_every_code_has_its_own_heading_where_its_address_leads() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    headings = [line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(entries())
    assert {entry.docs for entry in entries().values()} == {f"{PAGE}#{heading}" for heading in headings}
