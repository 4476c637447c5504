"""Whatever else goes wrong: bugs of the user's own code wherever we call it, a full disk, a reader that has
gone, a store that is locked or damaged. Always what, why and what to do; never a stack trace, but with --debug
one without secrets."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from surefoot.state import commit, schema

from .conftest import PROGRAMS, SOURCE, Said, Shell

STORE = Path(".surefoot") / "state.db"
LIST = ["runs", "list"]


@pytest.fixture
def folder(shell: Shell) -> Shell:
    shutil.copy(PROGRAMS / "wrongs.py", shell.folder)
    shell.write("c.json", {"number": 1})
    return shell


def go(target: str) -> list[str]:
    return ["run", f"wrongs:w_{target}", "--input", "c.json", "-q"]


def told(said: Said, *, exit_code: int, kind: str, text: str) -> None:
    """The four texts on stderr, and no trace of where in our code it came up."""
    assert said.code == exit_code, said
    assert f"[{kind}]" in said.err
    assert "  why:  " in said.err
    assert "  do:   " in said.err
    assert text in said.err
    clean(said)


def clean(said: Said) -> None:
    for sign in ("Traceback", 'File "', str(SOURCE / "surefoot"), "Exception ignored"):
        assert sign not in said.out + said.err, said


def is_one_document(said: Said, kind: str) -> None:
    assert list(said.json) == ["error"]
    assert said.json["error"]["code"] == kind
    assert all(said.json["error"].values())


# ── bugs of the user's own ───────────────────────────────────────────────────────────────────────

MINE: dict[str, tuple[str, str, str]] = {
    # what is wrong: (the program's flow, code, what is said)
    "a resource's factory": ("factory", "unexpected", "wrongs.py, line"),
    "a file that a factory needs": ("missing_file", "system", "no-such-file.txt"),
    "a model class": ("model_class", "unexpected", "my validator is broken"),
    "a step": ("step_failed", "step_failed", "the step itself is broken"),
    "a step that leaves the process": ("leaves", "step_failed", "SystemExit"),
    "a tool": ("call_unknown", "call_unknown", "the line went dead"),
    "a rule": ("broken_rule", "denied", "failed with ZeroDivisionError"),
}


@pytest.mark.parametrize("what", MINE)
def test_a_bug_in_the_users_code_is_told_and_its_place_named(folder: Shell, what: str) -> None:
    flow, kind, text = MINE[what]
    told(folder.here(*go(flow)), exit_code=1, kind=kind, text=text)
    said = folder.here(*go(flow), "--json")
    assert said.json["error"]["code"] == kind
    clean(said)


def test_a_reconcile_that_fails_asks_a_person_and_says_why(folder: Shell) -> None:
    said = folder.here(*go("broken_reconcile"))
    assert said.code == 3
    assert "reconcile failed with ZeroDivisionError" in said.err
    clean(said)


ODD = """
import asyncio, gc, logging, threading
from surefoot import *

class Mute(Exception):
    def __str__(self):
        raise ValueError("I have no text")

async def forgotten():
    raise ValueError("nobody waits for me")

class Leaves:
    def __del__(self):
        raise ValueError("not even now")

@step(retry=Retry(attempts=1))
async def odd(n: int, run: Run) -> int:
    match n:
        case 1:
            raise Mute
        case 2:
            task = asyncio.create_task(forgotten())
            await asyncio.sleep(0)
            del task
            gc.collect()
        case 3:
            thread = threading.Thread(target=lambda: 1 / 0, name="mine")
            thread.start()
            thread.join()
        case 4:
            logging.getLogger("mine").exception("it went wrong", exc_info=ValueError("so it did"))
        case 5:
            Leaves()
        case 6:
            def down(depth):
                return down(depth + 1)
            down(0)
        case 7:
            async with asyncio.TaskGroup() as group:
                group.create_task(forgotten())
        case 8:
            raise KeyError("a key")
        case 9:
            raise MemoryError
    return n

w = Workflow("odd", input=int, steps=[odd])
"""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "no text that can be shown"),
        (2, "ValueError"),
        (3, "thread mine: ZeroDivisionError"),
        (4, "it went wrong"),
        (5, "ValueError: not even now"),
        (6, "RecursionError"),
        (7, "nobody waits for me"),
        (8, "a key"),
        (9, "MemoryError"),
    ],
)
def test_what_fails_beside_everything_is_a_line(folder: Shell, number: int, text: str) -> None:
    folder.write("odd.py", ODD)
    folder.write("c.json", number)
    said = folder.process("run", "odd:w", "--input", "c.json")
    assert text in said.err
    assert said.code == (0 if number in (2, 3, 4, 5) else 1)
    clean(said)


# ── the world ────────────────────────────────────────────────────────────────────────────────────


def run_once(folder: Shell) -> None:
    assert folder.here("run", "wrongs:ok", "--input", "c.json", "-q").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("words", [LIST, [*LIST, "--json"], ["explain"], ["--help"]], ids=" ".join)
def test_an_answer_that_finds_no_room_is_told(folder: Shell, words: list[str]) -> None:
    run_once(folder)
    done = to_full_device(folder, words, "stdout")
    told(Said(done.returncode, "", done.stderr), exit_code=1, kind="system", text="No space left")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_an_error_that_finds_no_room_keeps_its_exit_code(folder: Shell) -> None:
    done = to_full_device(folder, ["runs", "show", "r0", "--store", "x"], "stderr")
    assert done.returncode == 2
    done = to_full_device(folder, ["runs", "show", "r0", "--store", "x", "--json"], "stdout")
    assert done.returncode == 2
    assert "[usage]" in done.stderr


def to_full_device(folder: Shell, words: list[str], stream: str) -> subprocess.CompletedProcess[str]:
    with open("/dev/full", "w") as full:
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        return subprocess.run(
            [sys.executable, "-m", "surefoot", *words],
            cwd=folder.folder,
            env=folder.environment(),
            text=True,
            timeout=60,
            check=False,
            **streams,
        )


@pytest.mark.parametrize("words", [LIST, [*LIST, "--json"], ["explain"]], ids=" ".join)
def test_a_reader_that_has_gone_gets_no_complaint(folder: Shell, words: list[str]) -> None:
    run_once(folder)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "surefoot", *words],
        cwd=folder.folder,
        env=folder.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_disk_that_is_full_stops_the_run_and_says_so(folder: Shell) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "surefoot", "run", "wrongs:ok", "--input", "c.json", "-q", "--json"],
        cwd=folder.folder,
        env=folder.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384)),
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    told(said, exit_code=1, kind="store_unavailable", text="disk")
    is_one_document(said, "store_unavailable")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """As a database browser does it that keeps a transaction open."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_store_that_stays_locked_is_told(folder: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    run_once(folder)
    impatient(monkeypatch)
    with locked(folder.folder / STORE):
        said = folder.here("run", "wrongs:ok", "--input", "c.json", "-q")
        told(said, exit_code=1, kind="store_unavailable", text="locked")
        is_one_document(
            folder.here("run", "wrongs:ok", "--input", "c.json", "-q", "--json"), "store_unavailable"
        )


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "PATIENCE", 0.2)
    monkeypatch.setattr(commit, "PATIENCE", 0.2)


def damage(path: Path) -> None:
    """What a failing disk does: pages in the middle hold something else."""
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("harm", [damage, cut], ids=["damaged", "cut off"])
@pytest.mark.parametrize("words", [LIST, ["inbox", "list"], ["audit", "verify"]], ids=" ".join)
def test_a_store_that_is_damaged_is_told(
    folder: Shell, harm: Callable[[Path], None], words: list[str]
) -> None:
    run_once(folder)
    harm(folder.folder / STORE)
    said = folder.here(*words)
    told(said, exit_code=1, kind="store_unavailable", text="damaged")
    is_one_document(folder.here(*words, "--json"), "store_unavailable")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"keys": []}', b'{"keys": ["x"]}', b'{"keys": ["AAAA"]}'],
    ids=repr,
)
def test_a_key_ring_that_is_damaged_is_told(folder: Shell, content: bytes) -> None:
    run_once(folder)
    (folder.folder / ".surefoot" / "keys.json").write_bytes(content)
    told(folder.here(*LIST), exit_code=1, kind="key_unavailable", text="key")
    is_one_document(folder.here(*LIST, "--json"), "key_unavailable")


def test_a_pyproject_that_cannot_be_read_is_told(folder: Shell) -> None:
    (folder.folder / "pyproject.toml").mkdir()
    told(folder.here(*LIST), exit_code=2, kind="usage", text="directory")
    (folder.folder / "pyproject.toml").rmdir()
    (folder.folder / "pyproject.toml").write_bytes(b"[tool.surefoot]\nstore = '\xff'\n")
    told(folder.here(*LIST), exit_code=2, kind="usage", text="pyproject.toml")


# ── --debug ──────────────────────────────────────────────────────────────────────────────────────

LEAKS = """
import os
from pydantic import BaseModel
from surefoot import *

class Card(BaseModel):
    number: int
    holder: Annotated[str, Private("name")] = "Ann Marrow"

@step
async def pays(card: Card, run: Run) -> int:
    local = "a-value-of-a-local-variable"
    try:
        raise RuntimeError("for " + card.holder + " with " + os.environ["SHOP_API_KEY"])
    except RuntimeError as error:
        raise ValueError("card 4111 1111 1111 1111, ann" + "@" + "post.example") from error

@step
async def reads(card: Card, run: Run) -> Card:
    return Card.model_validate({"number": "no-number-but-" + "private"})

w = Workflow("leaks", input=Card, steps=[pays], secrets=["SHOP_API_KEY"])
v = Workflow("reads", input=Card, steps=[reads])
""".replace("import os\n", "import os\nfrom typing import Annotated\n", 1)

PLANTED = [
    "sk-very-secret-value",
    "4111 1111 1111 1111",
    "a-value-of-a-local-variable",
    "no-number-but-private",
]


@pytest.fixture
def leaky(folder: Shell) -> Shell:
    folder.setenv("SHOP_API_KEY", "sk-very-secret-value")
    folder.write("leaks.py", LEAKS)
    folder.write("c.json", {"number": 1})
    return folder


@pytest.mark.parametrize("flow", ["w", "v"])
def test_runs_show_debug_shows_the_recorded_way_without_secrets(leaky: Shell, flow: str) -> None:
    said = leaky.here("run", f"leaks:{flow}", "--input", "c.json", "-q", "--json")
    clean(said)
    plain = leaky.here("runs", "show", said.json["run"])
    clean(plain)
    debug = leaky.here("runs", "show", said.json["run"], "--debug")
    assert "Traceback (most recent call last):" in debug.out
    assert 'leaks.py", line ' in debug.out
    everything = "".join(one.out + one.err for one in (said, plain, debug))
    assert [text for text in PLANTED if text in everything] == []
    assert "Ann Marrow" not in everything, "a private value of the run"
    assert "@post.example" not in everything
    journal = leaky.here("runs", "events", said.json["run"], "--json").out
    assert [text for text in (*PLANTED, "Ann Marrow", "@post.example") if text in journal] == []
    if flow == "w":
        assert "That led to:" in debug.out
        assert "[secret:" in debug.out


def test_debug_shows_the_way_to_an_unexpected_error_without_secrets(leaky: Shell) -> None:
    leaky.write(
        "fails.py",
        LEAKS
        + "\ndef factory():\n    local = 'a-value-of-a-local-variable'\n    raise RuntimeError(os.environ['SHOP_API_KEY'] + ' 4111 1111 1111 1111')\n"
        "u = Workflow('u', input=Card, steps=[pays], resources=[factory])\n",
    )
    words = ["run", "fails:u", "--input", "c.json", "-q"]
    for plain in (leaky.here(*words), leaky.process(*words)):
        clean(plain)
        assert [text for text in PLANTED if text in plain.out + plain.err] == []
    for debug in (leaky.here(*words, "--debug", "--json"), leaky.process(*words, "--debug", "--json")):
        assert debug.json.keys() == {"error"}
        assert "Traceback (most recent call last):" in debug.err
        assert 'fails.py", line' in debug.err
        assert [text for text in PLANTED if text in debug.out + debug.err] == []


def test_run_with_debug_shows_the_way_to_the_step_that_failed(leaky: Shell) -> None:
    words = ["run", "leaks:w", "--input", "c.json", "-q", "--json"]
    clean(leaky.here(*words))
    debug = leaky.here(*words, "--debug")
    assert "Traceback (most recent call last):" in debug.err
    assert 'leaks.py", line ' in debug.err
    assert debug.json["error"]["code"] == "step_failed"
    assert [text for text in PLANTED if text in debug.out + debug.err] == []
    shown = leaky.here("runs", "show", debug.json["run"], "--json", "--debug").json
    assert [one["step"] for one in shown["tracebacks"]] == ["pays"]
    assert 'leaks.py", line ' in shown["tracebacks"][0]["traceback"]
    assert "tracebacks" not in leaky.here("runs", "show", debug.json["run"], "--json").json


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_debug_shows_the_way_of_what_fails_beside_everything_without_secrets(
    folder: Shell, number: int
) -> None:
    secret = "4111 1111 1111 1111"
    folder.write(
        "odd.py",
        ODD.replace('ValueError("', f'ValueError("{secret[:9]}" "{secret[9:]} ').replace("1 / 0", "int('x')"),
    )
    folder.write("c.json", number)
    plain = folder.process("run", "odd:w", "--input", "c.json")
    clean(plain)
    debug = folder.process("run", "odd:w", "--input", "c.json", "--debug")
    assert "Error: " in debug.err
    assert number == 4 or 'odd.py", line ' in debug.err, "one that was never raised has no way"
    assert secret not in plain.out + plain.err + debug.out + debug.err


def test_what_no_command_can_catch_is_told_all_the_same(folder: Shell) -> None:
    program = (
        "import sys\n"
        "from surefoot.cli.failures import quiet_the_rest\n"
        "quiet_the_rest(debug='--debug' in sys.argv)\n"
        "class Odd(BaseException): pass\n"
        "raise Odd('no exception at all')\n"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(
        words, env=folder.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    told(
        Said(done.returncode, done.stdout, done.stderr),
        exit_code=1,
        kind="unexpected",
        text="no exception at all",
    )
