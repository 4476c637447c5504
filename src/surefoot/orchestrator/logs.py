"""Logging without secrets and private values, in the whole process, whatever handlers there are.

`install()` stands between every logger and its handlers (decision 0037): a record that holds something is
replaced by a redacted copy before the first handler sees it, so that no handler's configuration can leave it
out. A record that holds nothing is passed on as it is. Texts that do not come by way of logging are taken
care of where they are made: warnings, and what Python prints of threads and finalisers that fail.

When redaction itself fails, the record's text is dropped, and the record says so.
"""

from __future__ import annotations

import copy
import functools
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .redacting import know_environment, redactor

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""Attributes that logging itself gives a record; all others came as `extra=` or from a filter."""

_PLAIN = (bool, int, float, complex, type(None))
_INSTALLED = "_surefoot_redacts"
_DEEPEST = 8


def install() -> None:
    """Once or more often: it is the same. What the environment holds is looked at anew each time."""
    know_environment()
    if getattr(logging.Logger.callHandlers, _INSTALLED, False):
        return
    logging.Logger.callHandlers = _before(logging.Logger.callHandlers)  # type: ignore[method-assign]
    logging.Handler.filter = _behind(logging.Handler.filter)  # type: ignore[method-assign]
    warnings.formatwarning = _redacting(warnings.formatwarning)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _thread_failed
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _unraisable
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _uncaught


def _before(call_handlers: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(call_handlers)
    def redacting(self: logging.Logger, record: logging.LogRecord) -> None:
        call_handlers(self, redacted(record))

    setattr(redacting, _INSTALLED, True)
    return redacting


def _behind(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A handler's own filters may add attributes: those are looked at too."""

    @functools.wraps(filter_)
    def redacting(self: logging.Handler, record: logging.LogRecord) -> Any:
        if not self.filters:
            return True
        passed = filter_(self, record)
        if not passed:
            return passed
        kept = passed if isinstance(passed, logging.LogRecord) else record
        clean = redacted(kept)
        if clean is not kept:
            kept.__dict__.update(clean.__dict__)
        return passed

    return redacting


def _redacting(format_: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(format_)
    def redacting(*args: Any, **kwargs: Any) -> str:
        return redactor().withhold(format_(*args, **kwargs))

    return redacting


# ── records ──────────────────────────────────────────────────────────────────────────────────────


def redacted(record: logging.LogRecord) -> logging.LogRecord:
    """The very same record where nothing was found; else a copy without it, without its exception (whose
    frames hold the values too) but with the exception's text."""
    try:
        return _redacted(record)
    except Exception as error:  # noqa: BLE001  fail closed, whatever it is
        withheld = f"[a log record was withheld: its redaction failed with {type(error).__name__}]"
        return _bare(record, withheld)


def _redacted(record: logging.LogRecord) -> logging.LogRecord:
    redact = redactor().redact
    texts = _texts(record)
    # One search for all of it: nearly every record is clean.
    whole = " \0 ".join(texts)
    if redact(whole) is whole:
        return record
    trace = _trace(record)
    clean = _bare(record, redact(_message(record)))
    clean.exc_text = redact(trace) if trace else None
    clean.stack_info = redact(record.stack_info) if record.stack_info else None
    clean.threadName = redact(record.threadName) if record.threadName else record.threadName
    if isinstance(name := getattr(record, "taskName", None), str):
        clean.taskName = redact(name)
    for name, value in _extras(record).items():
        clean.__dict__[redact(name)] = _value(value, redact, 0)
    return clean


def _bare(record: logging.LogRecord, message: str) -> logging.LogRecord:
    clean = copy.copy(record)
    for name in _extras(record):
        del clean.__dict__[name]
    clean.msg, clean.args = message, ()
    clean.exc_info = clean.exc_text = clean.stack_info = None
    clean.__dict__.pop("message", None)
    return clean


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN}


def _texts(record: logging.LogRecord) -> list[str]:
    """All that a handler may write of a record."""
    texts = [_message(record), _trace(record), record.stack_info or "", record.threadName or ""]
    texts.append(str(getattr(record, "taskName", "") or ""))
    if isinstance(record.args, dict) or not isinstance(record.msg, str):
        texts += [repr(record.args), str(record.msg)]
    for name, value in _extras(record).items():
        texts.append(name)
        if not isinstance(value, _PLAIN):
            texts += [value] if isinstance(value, str) else [str(value), repr(value)]
    return texts


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # its arguments do not fit; logging itself will say so
        return f"{record.msg} {record.args!r}"


def _trace(record: logging.LogRecord) -> str:
    if record.exc_text:
        return record.exc_text
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")


def _value(value: Any, redact: Callable[[str], str], depth: int) -> Any:
    """Of an `extra`: data keep their shape, an object that says too much becomes its redacted text."""
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case dict() if depth < _DEEPEST:
            return {
                _value(key, redact, depth + 1): _value(item, redact, depth + 1) for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [_value(item, redact, depth + 1) for item in value]
        case _:
            for text in (str(value), repr(value)):
                if redact(text) is not text:
                    return redact(str(value))
            return value


# ── what Python prints by itself ─────────────────────────────────────────────────────────────────


def _print(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(redactor().withhold(text))
        sys.stderr.flush()


def _lines(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    return "".join(traceback.format_exception(kind, error, trace))


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_type is SystemExit:
        return
    name = failure.thread.name if failure.thread else threading.get_ident()
    _print(
        f"Exception in thread {name}:\n" + _lines(failure.exc_type, failure.exc_value, failure.exc_traceback)
    )


def _unraisable(failure: Any) -> None:
    what = failure.err_msg or "Exception ignored in"
    _print(
        f"{what}: {failure.object!r}\n" + _lines(failure.exc_type, failure.exc_value, failure.exc_traceback)
    )


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _print(_lines(kind, error, trace))
