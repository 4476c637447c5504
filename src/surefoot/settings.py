"""Settings: what a deployment says beside the workflow, and where each value came from.

A value is looked for in this order, and the first place that has it wins: the command line, the environment
(`SUREFOOT_*`), `[tool.surefoot]` of the pyproject.toml in the current folder, the default. Every value
remembers its source, which `surefoot config show --sources` prints. What a deployment says can only narrow
what the workflow's author allowed; nothing here widens a grant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .core.model import Price
from .errors import UsageError

DEFAULT_STORE = "sqlite:///.surefoot/state.db"
PREFIX = "SUREFOOT_"
SECRET_VARIABLES = frozenset({"SUREFOOT_MASTER_KEY", "SUREFOOT_WEBHOOK_SECRET"})
OTHER_VARIABLES = SECRET_VARIABLES | {"SUREFOOT_CRASH_AT", "SUREFOOT_TESTING"}
"""Variables of ours that are no settings: the key ring, what signs webhooks, and what crash tests use."""


@dataclass(frozen=True)
class Setting:
    """`read` makes the value of a text or of what TOML holds; it raises ValueError with a reason."""

    name: str
    variables: tuple[str, ...]
    read: Callable[[Any], Any]
    default: Any
    what: str


@dataclass(frozen=True)
class Webhook:
    """Who is told of what: `types` as `surefoot.state.deliveries` has them, none for all."""

    url: str
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """`grants` None: all that the workflow has; `models` None: the workflow's own; `people` None: nobody has
    said who belongs to a group, so anyone may decide; `person` None: the user of this machine. `webhooks` are
    by name, `mail` are addresses by group. `sources` is by name of the setting."""

    workflow: str | None
    scenarios: str
    world: str | None
    store: str
    grants: tuple[str, ...] | None
    models: tuple[str, ...] | None
    people: Mapping[str, tuple[str, ...]] | None
    prices: Mapping[str, Price]
    concurrency: int
    lease: float
    trace_content: bool
    host: str
    port: int
    hosts: tuple[str, ...]
    url: str | None
    person: str | None
    max_queue: int
    max_body: int
    drain: float
    webhooks: Mapping[str, Webhook]
    webhook_hosts: tuple[str, ...] | None
    smtp: str | None
    mail: Mapping[str, tuple[str, ...]]
    mail_from: str | None
    sources: Mapping[str, str]
    unknown: tuple[str, ...]
    """Complaints about variables and keys that are no settings: most likely they are misspelt."""

    def shown(self, name: str) -> Any:
        """A value as it may be printed: JSON, without the password that a URL may hold."""
        value = getattr(self, name)
        match value:
            case str():
                return without_password(value)
            case tuple():
                return list(value)
            case Mapping():
                return {key: _shown(item) for key, item in value.items()}
            case _:
                return value


def gather(flags: Mapping[str, Any], environment: Mapping[str, str], folder: Path) -> Settings:
    """`flags` are values from the command line, by setting; None is not given. Raises UsageError."""
    table = _pyproject(folder)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        values[setting.name], sources[setting.name] = _find(setting, flags, environment, table)
    return Settings(**values, sources=sources, unknown=_unknown(environment, table))


def without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", url)


# ── finding ──────────────────────────────────────────────────────────────────────────────────────


def _find(
    setting: Setting, flags: Mapping[str, Any], environment: Mapping[str, str], table: Mapping[str, Any]
) -> tuple[Any, str]:
    if (flag := flags.get(setting.name)) is not None:
        option = f"--{'model' if setting.name == 'models' else setting.name}"
        return _read(setting, flag, option), option
    given = [name for name in setting.variables if name in environment]
    # An empty variable is one that is not set, but for grants: who wrote that line meant to narrow them.
    given = [name for name in given if environment[name].strip() or setting.name == "grants"]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} are both set",
            why="they mean the same",
            remedy="Set one of them.",
        )
    if given:
        return _read(setting, environment[given[0]], given[0]), given[0]
    if setting.name in table:
        return _read(setting, table[setting.name], f"[tool.surefoot] {setting.name}"), "pyproject.toml"
    return setting.default, "default"


def _read(setting: Setting, value: Any, where: str) -> Any:
    try:
        return setting.read(value)
    except (ValueError, TypeError, AttributeError, InvalidOperation) as error:
        raise UsageError(
            f"{where} cannot be used",
            why=str(error) or "it has the wrong form",
            remedy=f"It is {setting.what}.",
        ) from error


def _pyproject(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read",
            why=str(error.strerror or error),
            remedy="Make it readable for this user, or move it away.",
        ) from error
    if b"surefoot" not in content:
        return {}  # most folders' files say nothing to us, and reading TOML takes longer than this look
    import tomllib  # noqa: PLC0415

    try:
        tools = tomllib.loads(content.decode()).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read", why=str(error), remedy="Mend the file.") from error
    table = tools.get("surefoot", {})
    if not isinstance(table, dict):
        raise UsageError(
            f"{path}: tool.surefoot is no table",
            why=f"it is a {type(table).__name__}",
            remedy="Write [tool.surefoot] and its keys below.",
        )
    return table


def _unknown(environment: Mapping[str, str], table: Mapping[str, Any]) -> tuple[str, ...]:
    variables = [name for setting in SETTINGS for name in setting.variables] + sorted(OTHER_VARIABLES)
    keys = [setting.name for setting in SETTINGS]
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in variables:
            found.append(f"{name} is not a setting, and has no effect{_near(name, variables)}")
    for key in table:
        if key not in keys:
            found.append(f"[tool.surefoot] {key} is not a setting, and has no effect{_near(key, keys)}")
    return tuple(found)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it is no text")
    return value.strip()


def _names(value: Any) -> tuple[str, ...]:
    """Names with commas between, or a list of names."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("it is neither names with commas between nor a list of names")
    return tuple(part.strip() for part in parts if part.strip())


def _some_names(value: Any) -> tuple[str, ...]:
    names = _names(value)
    if not names:
        raise ValueError("it names nothing")
    return names


def _people(value: Any) -> dict[str, tuple[str, ...]]:
    if isinstance(value, str):
        groups: dict[str, Any] = {}
        for part in value.split(";"):
            if part.strip():
                group, sign, members = part.partition("=")
                if not sign or not group.strip():
                    raise ValueError(f"{part.strip()!r} is not group=name,name")
                groups[group.strip()] = members
        value = groups
    if not isinstance(value, dict):
        raise ValueError("it is no table of groups")
    return {group: _names(members) for group, members in value.items()}


def _count(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool | float) or number < 1:
        raise ValueError(f"{value!r} is no whole number from 1 on")
    return number


def _port(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool | float) or not 0 <= number <= 65_535:
        raise ValueError(f"{value!r} is no port from 0 to 65535")
    return number


def _seconds(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not 0.1 <= number <= 86_400:
        raise ValueError(f"{value!r} is no number of seconds from 0.1 to 86400")
    return number


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() not in ("1", "true", "yes", "0", "false", "no"):
        raise ValueError(f"{value!r} is neither 1 nor 0")
    return str(value).strip().lower() in ("1", "true", "yes")


def _url(*schemes: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        url = _text(value)
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"{without_password(url)!r} is no URL that begins with {schemes[0]}://")
        return url

    return read


def _webhooks(value: Any) -> dict[str, Webhook]:
    """URLs with commas between; or by name a URL, or `{url = "...", types = [...]}`."""
    if isinstance(value, str):
        value = {_name_of(url): url for url in _names(value)}
    if not isinstance(value, dict):
        raise ValueError("it is neither URLs with commas between nor a table")
    found = {}
    for name, said in value.items():
        if isinstance(said, str):
            said = {"url": said}
        if not isinstance(said, dict) or not {"url"} <= said.keys() <= {"url", "types"}:
            raise ValueError(f"{name!r} has not exactly url and perhaps types")
        found[name] = Webhook(_receiver(said["url"]), _names(said.get("types", ())))
    return found


def _receiver(value: Any) -> str:
    text = _text(value)
    if not text.startswith("mailto:"):
        return _url("https", "http")(text)
    if "?" in text or not text.rpartition("@")[2]:
        raise ValueError("it has more, or less, than one address after mailto:")
    return text


def _name_of(url: str) -> str:
    """The same for the same URL, whatever stands beside it."""
    where = urlsplit(url).hostname or url.rpartition("@")[2]
    return f"{where}-{sha256(url.encode()).hexdigest()[:8]}"


def _prices(value: Any) -> dict[str, Price]:
    """By model: dollars a million tokens, `{input = 2.5, output = "10.00", cached = 0.25}`."""
    if not isinstance(value, dict):
        raise ValueError("it is no table of models")
    found = {}
    for model, listed in value.items():
        if not isinstance(listed, dict) or not {"input", "output"} <= listed.keys() <= {
            "input",
            "output",
            "cached",
        }:
            raise ValueError(f"the price of {model!r} has not exactly input, output and perhaps cached")
        amounts = {kind: _amount(model, amount) for kind, amount in listed.items()}
        found[model] = Price(amounts["input"], amounts["output"], amounts.get("cached"))
    return found


def _amount(model: str, dollars: Any) -> float:
    amount = Decimal(str(dollars))
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"the price of {model!r} has {dollars!r}, which is no amount of money")
    return float(amount * 1000)  # dollars a million tokens are 1000 nano-dollars a token


def _shown(value: Any) -> Any:
    if isinstance(value, Webhook):
        parts = urlsplit(value.url)  # what follows its host is often all that keeps others from using it
        host = f"//{parts.hostname}/…" if parts.hostname else f"…@{value.url.rpartition('@')[2]}"
        return {"url": f"{parts.scheme}:{host}", "types": list(value.types)}
    if isinstance(value, Price):
        cached = {} if value.input_cached is None else {"cached": value.input_cached / 1000}
        return {"input": value.input / 1000, "output": value.output / 1000, **cached}
    return list(value)


SETTINGS: tuple[Setting, ...] = (
    Setting("workflow", (), _text, None, "module:object, the workflow that commands use when none is given"),
    Setting("scenarios", (), _text, "scenarios", "the folder of the workflow's scenarios"),
    Setting("world", (), _text, None, "module:function that makes the world of a scenario"),
    Setting(
        "store", ("SUREFOOT_STORE",), _text, DEFAULT_STORE, "the URL of the store, such as sqlite:///x.db"
    ),
    Setting(
        "grants",
        ("SUREFOOT_GRANTS",),
        _names,
        None,
        "permissions with commas between; it narrows the workflow's grants, and empty leaves none",
    ),
    Setting(
        "models",
        ("SUREFOOT_MODELS", "SUREFOOT_MODEL"),
        _some_names,
        None,
        "models in order with commas between, such as openai:NAME, in place of the workflow's own",
    ),
    Setting(
        "people",
        ("SUREFOOT_PEOPLE",),
        _people,
        None,
        "who belongs to a group: leads=kim,ann;desk=bo, or a table of lists",
    ),
    Setting(
        "prices",
        (),
        _prices,
        {},
        'a table by model, in dollars a million tokens: "openai:NAME" = {input = 2.5, output = 10}',
    ),
    Setting("concurrency", ("SUREFOOT_CONCURRENCY",), _count, 100, "how many runs a process holds at once"),
    Setting(
        "lease",
        ("SUREFOOT_LEASE",),
        _seconds,
        15.0,
        "seconds that a process may be silent before others may take its runs",
    ),
    Setting(
        "trace_content",
        ("SUREFOOT_TRACE_CONTENT",),
        _switch,
        False,  # noqa: FBT003  the default of this setting
        "1 or 0: whether spans carry arguments, results and texts too, redacted",
    ),
    Setting("host", ("SUREFOOT_HOST",), _text, "127.0.0.1", "the address at which `surefoot serve` listens"),
    Setting("port", ("SUREFOOT_PORT",), _port, 8420, "its port; 0 takes any that is free"),
    Setting(
        "hosts",
        ("SUREFOOT_HOSTS",),
        _names,
        (),
        "names with commas between by which the service is reached, beside localhost",
    ),
    Setting(
        "url",
        ("SUREFOOT_URL",),
        _url("https", "http"),
        None,
        "where people reach the console, such as https://desk.example; letters to them point there",
    ),
    Setting(
        "person",
        ("SUREFOOT_PERSON",),
        _text,
        None,
        "who acts at this machine while no token was ever made; the user of this machine where it is not set",
    ),
    Setting("max_queue", ("SUREFOOT_MAX_QUEUE",), _count, 10_000, "how many runs may wait to be taken up"),
    Setting("max_body", ("SUREFOOT_MAX_BODY",), _count, 1_000_000, "bytes that a request may have"),
    Setting(
        "drain",
        ("SUREFOOT_DRAIN",),
        _seconds,
        30.0,
        "seconds for what is under way when a process is stopped",
    ),
    Setting(
        "webhooks",
        ("SUREFOOT_WEBHOOKS",),
        _webhooks,
        {},
        'URLs with commas between, or a table by name: pager = {url = "https://...", types = [...]}',
    ),
    Setting(
        "webhook_hosts",
        ("SUREFOOT_WEBHOOK_HOSTS",),
        _some_names,
        None,
        "hosts with commas between to which webhooks may be sent, and to no others; of those that are not "
        "public also the address, or its network",
    ),
    Setting(
        "smtp",
        ("SUREFOOT_SMTP",),
        _url("smtp", "smtps"),
        None,
        "the server that takes mail, such as smtp://user:password@mail.example:587",
    ),
    Setting(
        "mail",
        ("SUREFOOT_MAIL",),
        _people,
        {},
        "where a group gets its mail: leads=kim@shop.example;desk=bo@shop.example, or a table of lists",
    ),
    Setting("mail_from", ("SUREFOOT_MAIL_FROM",), _text, None, "the address that mail comes from"),
)
