"""Settings: flag before environment before pyproject before default, each with its source."""

from pathlib import Path
from typing import Any

import pytest

from surefoot.core.model import Price
from surefoot.errors import UsageError
from surefoot.settings import DEFAULT_STORE, SETTINGS, Webhook, gather
from surefoot.state.opening import DEFAULT_STORE as STORE_OF_THE_RUNTIME

from .conftest import Shell


def pyproject(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.surefoot]\n{text}\n", encoding="utf-8")


def test_the_first_place_that_has_a_value_wins(tmp_path: Path) -> None:
    env = {"SUREFOOT_STORE": "sqlite:///env.db"}
    nothing = gather({}, {}, tmp_path)
    assert (nothing.store, nothing.sources["store"]) == (DEFAULT_STORE, "default")
    pyproject(tmp_path, 'store = "sqlite:///project.db"')
    assert gather({}, {}, tmp_path).store == "sqlite:///project.db"
    assert gather({}, env, tmp_path).store == "sqlite:///env.db"
    given = gather({"store": "sqlite:///flag.db"}, env, tmp_path)
    assert (given.store, given.sources["store"]) == ("sqlite:///flag.db", "--store")


def test_the_default_store_is_the_runtime_s() -> None:
    assert DEFAULT_STORE == STORE_OF_THE_RUNTIME


def test_every_setting_is_read_from_the_environment(tmp_path: Path) -> None:
    env = {
        "SUREFOOT_GRANTS": "a:read, a:write",
        "SUREFOOT_MODEL": "openai:x,embedded",
        "SUREFOOT_LEASE": "2.5",
        "SUREFOOT_CONCURRENCY": "7",
        "SUREFOOT_PEOPLE": "leads=kim, ann;desk=bo",
    }
    found = gather({}, env, tmp_path)
    assert found.grants == ("a:read", "a:write")
    assert found.models == ("openai:x", "embedded")
    assert (found.lease, found.concurrency) == (2.5, 7)
    assert found.people == {"leads": ("kim", "ann"), "desk": ("bo",)}
    assert found.sources["people"] == "SUREFOOT_PEOPLE"
    assert found.unknown == ()


def test_every_setting_is_read_from_pyproject(tmp_path: Path) -> None:
    pyproject(
        tmp_path,
        'workflow = "desk:desk"\ngrants = ["a:read"]\nmodels = ["embedded"]\nlease = 3\nconcurrency = 4\n'
        '[tool.surefoot.people]\nleads = ["kim"]\n'
        '[tool.surefoot.prices]\n"openai:x" = {input = 2.5, output = "10.00", cached = 0.25}',
    )
    found = gather({}, {}, tmp_path)
    assert (found.workflow, found.grants, found.models) == ("desk:desk", ("a:read",), ("embedded",))
    assert (found.lease, found.concurrency, found.people) == (3.0, 4, {"leads": ("kim",)})
    assert found.prices == {"openai:x": Price(2_500, 10_000, 250)}
    assert set(found.sources.values()) == {"pyproject.toml", "default"}


def test_an_empty_grants_variable_leaves_none(tmp_path: Path) -> None:
    """Who wrote that line meant to narrow them; every other empty variable is as good as none."""
    found = gather({}, {"SUREFOOT_GRANTS": "", "SUREFOOT_STORE": "", "SUREFOOT_PEOPLE": " "}, tmp_path)
    assert found.grants == ()
    assert (found.store, found.people) == (DEFAULT_STORE, None)


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"SUREFOOT_LEASE": "soon"}, "SUREFOOT_LEASE"),
        ({"SUREFOOT_LEASE": "0"}, "SUREFOOT_LEASE"),
        ({"SUREFOOT_LEASE": "nan"}, "SUREFOOT_LEASE"),
        ({"SUREFOOT_CONCURRENCY": "0"}, "SUREFOOT_CONCURRENCY"),
        ({"SUREFOOT_CONCURRENCY": "1.5"}, "SUREFOOT_CONCURRENCY"),
        ({"SUREFOOT_PEOPLE": "kim"}, "SUREFOOT_PEOPLE"),
        ({"SUREFOOT_MODEL": ","}, "SUREFOOT_MODEL"),
        ({"SUREFOOT_PORT": "70000"}, "SUREFOOT_PORT"),
        ({"SUREFOOT_URL": "desk.example"}, "SUREFOOT_URL"),
        ({"SUREFOOT_SMTP": "https://mail.example"}, "SUREFOOT_SMTP"),
        ({"SUREFOOT_WEBHOOKS": "hooks.example"}, "SUREFOOT_WEBHOOKS"),
        ({"SUREFOOT_MODEL": "a", "SUREFOOT_MODELS": "b"}, "both set"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_place(tmp_path: Path, env: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        gather({}, env, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "store = 5",
        'grants = {a = "b"}',
        "concurrency = true",
        "prices = {x = {input = 1}}",
        "prices = {x = {input = 1, output = -1}}",
        'prices = {x = {input = 1, output = "much"}}',
        "people = 3",
    ],
)
def test_a_wrong_value_in_pyproject_is_refused(tmp_path: Path, text: str) -> None:
    pyproject(tmp_path, text)
    with pytest.raises(UsageError, match=r"tool\.surefoot"):
        gather({}, {}, tmp_path)


def test_a_misspelt_name_is_told_with_the_right_one(tmp_path: Path) -> None:
    pyproject(tmp_path, 'grant = ["a:read"]')
    found = gather({}, {"SUREFOOT_GRANT": "a:read", "SUREFOOT_MASTER_KEY": "x", "OTHER": "y"}, tmp_path)
    variable, key = found.unknown
    assert "SUREFOOT_GRANT is not a setting" in variable
    assert "did you mean SUREFOOT_GRANTS" in variable
    assert "did you mean grants" in key


def test_config_shows_every_setting_with_its_source(shell: Shell) -> None:
    shell.setenv("SUREFOOT_LEASE", "9")
    document: dict[str, Any] = shell.here("config", "show", "--sources", "--json", "--grants", "a:read").json
    assert document["lease"] == {"value": 9.0, "source": "SUREFOOT_LEASE"}
    assert document["grants"] == {"value": ["a:read"], "source": "--grants"}
    assert document["store"] == {"value": DEFAULT_STORE, "source": "default"}
    assert document.keys() == {*(one.name for one in SETTINGS), "secrets", "unknown"}
    out = shell.here("config", "show", "--sources").out
    assert "SUREFOOT_LEASE" in out


def test_secrets_are_told_as_set_and_never_shown(shell: Shell) -> None:
    shell.setenv("SUREFOOT_MASTER_KEY", "c2VjcmV0LXNlY3JldA==")
    shell.setenv("SUREFOOT_STORE", "postgresql://desk:hush-hush@db.example/runs")
    for words in (
        ["config", "show", "--sources"],
        ["config", "show", "--json"],
        ["doctor"],
        ["doctor", "--json"],
    ):
        said = shell.here(*words)
        assert "c2VjcmV0" not in said.out + said.err, words
        assert "hush-hush" not in said.out + said.err, words
    assert shell.here("config", "show", "--json").json["secrets"] == {
        "SUREFOOT_MASTER_KEY": True,
        "SUREFOOT_WEBHOOK_SECRET": False,
    }


def test_what_a_service_is_told_is_read_from_both_places(tmp_path: Path) -> None:
    env = {
        "SUREFOOT_HOST": "0.0.0.0",
        "SUREFOOT_PORT": "0",
        "SUREFOOT_HOSTS": "desk.example, desk.lan",
        "SUREFOOT_URL": "https://desk.example",
        "SUREFOOT_PERSON": "kim",
        "SUREFOOT_DRAIN": "5",
        "SUREFOOT_MAX_QUEUE": "50",
        "SUREFOOT_WEBHOOKS": "https://hooks.example/a, https://hooks.example/b",
        "SUREFOOT_WEBHOOK_HOSTS": "hooks.example",
        "SUREFOOT_SMTP": "smtp://desk:hush@mail.example:587",
        "SUREFOOT_MAIL": "leads=kim@shop.example,ann@shop.example",
    }
    found = gather({}, env, tmp_path)
    assert (found.host, found.port, found.hosts) == ("0.0.0.0", 0, ("desk.example", "desk.lan"))
    assert (found.person, found.drain, found.max_queue, found.max_body) == ("kim", 5.0, 50, 1_000_000)
    assert [hook.url for hook in found.webhooks.values()] == [
        "https://hooks.example/a",
        "https://hooks.example/b",
    ]
    assert found.mail == {"leads": ("kim@shop.example", "ann@shop.example")}
    pyproject(
        tmp_path,
        '[tool.surefoot.webhooks]\npager = {url = "https://p.example/x", types = ["item.opened"]}\n'
        'log = "https://l.example/y"',
    )
    hooks = gather({}, {}, tmp_path).webhooks
    assert hooks == {
        "pager": Webhook("https://p.example/x", ("item.opened",)),
        "log": Webhook("https://l.example/y"),
    }


def test_what_is_secret_in_an_address_is_not_shown(tmp_path: Path) -> None:
    env = {
        "SUREFOOT_WEBHOOKS": "https://hooks.example/T0/only-for-us?key=hush",
        "SUREFOOT_SMTP": "smtp://desk:hush@mail.example:587",
    }
    found = gather({}, env, tmp_path)
    assert found.shown("smtp") == "smtp://desk:***@mail.example:587"
    ((name, shown),) = found.shown("webhooks").items()
    assert name.startswith("hooks.example-")
    assert shown == {"url": "https://hooks.example/…", "types": []}


def test_a_misspelt_setting_is_warned_of_before_anything_runs(shell: Shell) -> None:
    shell.setenv("SUREFOOT_GRANT", "stock:read")
    said = shell.here("run", "till:till", "--input", "small.json", "--json")
    assert "warning: SUREFOOT_GRANT is not a setting" in said.err
    assert said.json["status"] == "succeeded"
    signs = shell.here("doctor", "--json").json["signs"]
    assert [one["level"] for one in signs if "SUREFOOT_GRANT" in one["what"]] == ["warning"]


def test_narrowed_grants_keep_a_run_from_acting(shell: Shell) -> None:
    said = shell.here("run", "till:till", "--input", "small.json", "--json", "--grants", "stock:read")
    assert said.code == 1
    assert said.json["error"]["code"] == "tool_denied"
    assert shell.paid() == []
