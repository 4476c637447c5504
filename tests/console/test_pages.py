"""Every page, for every state in which a run can be."""

from __future__ import annotations

import pytest

from .conftest import OTHERS, PAGES, Site

pytestmark = pytest.mark.anyio


async def test_every_page_of_an_empty_store_is_there(site: Site) -> None:
    for path in (*PAGES, *OTHERS):
        page = await site.ask.get(path)
        assert page.status_code == 200, (path, page.text)
        assert "<h1" in page.text
