"""The child process: started, shared, replaced; on small programs in its place, so that all of its ways to
fail can be seen without the model."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import ModelRefused, ModelUnavailable
from surefoot.models.providers import embedded_process
from surefoot.models.providers.embedded_process import CHILDREN, Child, Want
from surefoot.models.providers.weights import Weights

READY = """
import json, sys
settings = json.loads(sys.stdin.readline())
print(json.dumps({"url": "http://127.0.0.1:1", "llguidance": True, **settings}), flush=True)
sys.stdin.read()
"""

WANT = Want(Weights(Path("/weights/model.gguf"), "0" * 64), threads=1, context=512)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(text: str) -> None:
        (tmp_path / "program.py").write_text(text)

    monkeypatch.setattr(embedded_process, "PROGRAM", tmp_path / "program.py")
    write(READY)
    return write


@pytest.fixture
def child(program: Callable[[str], None]) -> Iterator[Child]:
    made = Child(WANT)
    yield made
    made.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_starts_once_and_keeps_its_address(child: Child) -> None:
    assert child.ready() is None
    first = child.address()
    assert child.address() == first
    assert child.ready() == first


def test_a_dead_one_is_replaced_with_another_key(child: Child) -> None:
    first = child.address()
    os.kill(first.pid, signal.SIGKILL)
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    assert child.ready() is None
    second = child.address()
    assert second.pid != first.pid
    assert second.key != first.key


def test_only_the_one_that_was_meant_is_replaced(child: Child) -> None:
    first = child.address()
    child.replace(first)
    assert not alive(first.pid)
    second = child.address()
    child.replace(first)
    assert child.ready() == second


def test_it_gets_its_key_on_standard_input_alone_and_sees_no_other(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody")
    address = child.address()
    if not Path("/proc").is_dir():
        pytest.skip("reads /proc")
    for place in ("cmdline", "environ"):
        seen = Path(f"/proc/{address.pid}/{place}").read_bytes()
        assert address.key.encode() not in seen
        assert b"sk-of-somebody" not in seen


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("raise SystemExit('no such thing')", ModelUnavailable, "no such thing"),
        ("import no_such_module", ModelRefused, "No module named 'no_such_module'"),
        ('print(\'{"error": "bad magic"}\', flush=True)', ModelRefused, "bad magic"),
        ("print('hello', flush=True)", ModelUnavailable, "exit status 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ModelUnavailable, "exit status -11"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", ModelRefused, "AVX2"),
    ],
)
def test_one_that_does_not_come_up_says_why(
    child: Child, program: Callable[[str], None], text: str, kind: type[Exception], words: str
) -> None:
    program(text)
    with pytest.raises(kind) as caught:
        child.address()
    assert words in str(caught.value)
    program(READY)
    assert child.address(), "the next request starts it anew"


def test_one_that_has_ended_before_it_is_told_anything_says_why_all_the_same(
    child: Child, program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def ended(*words: Any, **options: Any) -> Any:
        process = popen(*words, **options)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return process

    monkeypatch.setattr(subprocess, "Popen", ended)
    program('print(\'{"error": "bad magic"}\', flush=True)')
    with pytest.raises(ModelRefused, match="bad magic"):
        child.address()


def test_one_that_never_says_it_is_ready_is_given_up(
    child: Child, program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_process, "START_SECONDS", 0.3)
    program("import sys; sys.stdin.read()")
    with pytest.raises(ModelUnavailable):
        child.address()


def test_those_who_want_the_same_share_one_until_the_last_lets_go(program: Callable[[str], None]) -> None:
    one, other = CHILDREN.take(WANT, 1), CHILDREN.take(WANT, 2)
    assert one is other
    pid = one.address().pid
    CHILDREN.release(WANT, 1)
    CHILDREN.release(WANT, 1)
    assert alive(pid)
    CHILDREN.release(WANT, 2)
    assert not alive(pid)
    assert CHILDREN.take(WANT, 3) is not one
    CHILDREN.release(WANT, 3)


def test_another_size_is_another_child(program: Callable[[str], None]) -> None:
    larger = Want(WANT.weights, threads=1, context=1024)
    assert CHILDREN.take(WANT, 1) is not CHILDREN.take(larger, 1)
    CHILDREN.release(WANT, 1)
    CHILDREN.release(larger, 1)
