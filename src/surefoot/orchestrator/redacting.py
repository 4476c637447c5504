"""The redactor of this process: what it knows that must not get out.

* the secrets of every open Runtime;
* what the environment holds: values of variables that are called like secrets, and passwords in URLs;
* the private values of the run whose code is at work (a context variable names it), or else of all runs that
  are open here, and of those that have just left: their last words may come late.

There is one per process because leaks know no borders: a library's log line, a thread's last words and a
warning belong to no Runtime.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cache

from ..rails.detect import standard
from ..rails.redaction import SHORTEST_SECRET, Private, Secrets
from ..rails.redactor import Finder, Redactor

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PASSCODE|CREDENTIAL|(?:^|_)(?:PWD|PASS|AUTH|PAT|DSN|COOKIE)(?:_|$)"
)
_NO_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "SUREFOOT_TOKENS", "GPG_KEY"})
_PLACE = re.compile(r"(?:~|\.{0,2})/[\w./~ -]*|[A-Za-z]:\\.*")
_WORDS = re.compile(r"(?i:true|false|yes|no|none|null|default|disabled|enabled|required|optional)|[\d.]{1,8}")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:]*:([^\s@/]+)@")

LAST_WORDS = 64
"""Runs that have left and whose private values are still looked for."""


def secrets_of_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """By name: values of variables that are called like secrets and do not look like a path or a plain word,
    and the passwords in URLs, which also stand in others."""
    found = {}
    for name, value in environment.items():
        value = value.strip()
        if name in _NO_SECRET or len(value) < SHORTEST_SECRET:
            continue
        for password in _URL_PASSWORD.findall(value):
            found[f"{name} password"] = password
        known = name == "SUREFOOT_MASTER_KEY"
        if known or (_SECRET_NAME.search(name.upper()) and not _is_harmless(value)):
            found[name] = value
    return {name.replace(" ", "."): value for name, value in found.items()}


def _is_harmless(value: str) -> bool:
    """A path, a switch, a small number. Of a URL its password is secret, and not where it leads to."""
    return bool(_PLACE.fullmatch(value) or _WORDS.fullmatch(value) or _URL_PASSWORD.search(value))


class OpenRuns:
    """The private values of the runs that are at work in this process."""

    def __init__(self) -> None:
        self._open: dict[str, Private] = {}
        self._left: deque[Private] = deque(maxlen=LAST_WORDS)
        self._at_work: ContextVar[Private | None] = ContextVar("surefoot_run_at_work", default=None)

    def add(self, run: str, private: Private) -> None:
        self._open[run] = private

    def remove(self, run: str) -> None:
        private = self._open.pop(run, None)
        if private is not None and private.placeholders:
            self._left.append(private)

    def at_work(self, private: Private) -> AtWork:
        """While code of a run is at work (`with`), its placeholders stand for its values."""
        return AtWork(self._at_work, private)

    def privates(self) -> list[Private]:
        current = self._at_work.get()
        if current is not None:
            return [current] if current.placeholders else []
        return [private for private in (*self._open.values(), *self._left) if private.placeholders]


class AtWork:
    """A class and no generator: every entry of a step's body goes through here."""

    __slots__ = ("_private", "_token", "_variable")

    def __init__(self, variable: ContextVar[Private | None], private: Private) -> None:
        self._variable = variable
        self._private = private

    def __enter__(self) -> None:
        self._token = self._variable.set(self._private)

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # a body that was left behind is closed by whoever finds it
            self._variable.reset(self._token)


@cache
def _detector() -> Finder:
    return standard()


open_runs = OpenRuns()
_redactor = Redactor(_detector, open_runs.privates)
_forget_environment: list[Callable[[], None]] = []


def redactor() -> Redactor:
    """The one of this process."""
    return _redactor


def know_environment(environment: Mapping[str, str] | None = None) -> None:
    """Takes note of the environment's secrets as they are now."""
    before = list(_forget_environment)
    secrets = Secrets(secrets_of_environment(os.environ if environment is None else environment))
    _forget_environment[:] = [_redactor.add(secrets)]
    for forget in before:
        forget()


def know(store: str, secrets: Secrets) -> Callable[[], None]:
    """Of a Runtime that opens: its secrets, and the password in its store's URL. Gives back what makes them
    forgotten."""
    forget = [_redactor.add(secrets), _redactor.add(Secrets(secrets_of_environment({"store": store})))]

    def forget_all() -> None:
        for one in forget:
            one()

    return forget_all
