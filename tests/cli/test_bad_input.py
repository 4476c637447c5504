"""Whatever is wrong with what a user types, or with the user's program: a short word on what, why and what to
do, an exit code that says whose turn it is, and never a stack trace."""

import pytest

from .conftest import Said, Shell

BAD: dict[str, tuple[list[str], int, str, str]] = {
    # name: (command, exit code, code of the error, what must be said)
    "no such command": (["runn"], 2, "usage", "runn"),
    "no such option": (["run", "--inptu", "x"], 2, "usage", "--inptu"),
    "no such choice": (["inbox", "decide", "x", "perhaps", "--by", "kim"], 2, "usage", "perhaps"),
    "no number": (["runs", "list", "--limit", "many"], 2, "usage", "many"),
    "no duration": (["prune", "--older-than", "long"], 2, "usage", "long"),
    "nobody decides": (["inbox", "decide", "x", "approve"], 2, "usage", "--by"),
    "nothing named": (["run", "--input", "small.json"], 2, "target", "no workflow was named"),
    "no colon": (["run", "till", "--input", "small.json"], 2, "target", "till:NAME"),
    "a file": (["run", "till.py", "--input", "small.json"], 2, "target", "till:NAME"),
    "no such module": (["run", "tull:till", "--input", "small.json"], 2, "target", "Did you mean till?"),
    "no such object": (["run", "till:til", "--input", "small.json"], 2, "target", "Did you mean till:till?"),
    "no workflow": (["run", "till:pay", "--input", "small.json"], 2, "target", "it is a Tool"),
    "syntax": (["run", "syntax:w", "--input", "small.json"], 2, "target", "syntax.py, line 1"),
    "a name at import": (["run", "name:w", "--input", "small.json"], 2, "target", "name.py, line 3"),
    "a missing package": (["run", "imports:w", "--input", "small.json"], 2, "target", "no_such_package"),
    "exit at import": (["run", "leaves:w", "--input", "small.json"], 2, "target", "SystemExit"),
    "a mistake in the definition": (
        ["run", "wrong:w", "--input", "small.json"],
        2,
        "missing_step",
        "Did you mean 'first'?",
    ),
    "no input": (["run", "till:till"], 2, "usage", "--input"),
    "no such key": (["run", "till:till", "--key", "nope"], 2, "run_not_found", "nope"),
    "bytes that are no text": (["runs", "show", "a\udcffb"], 2, "usage", "UTF-8"),
    "a store that is a folder": (
        ["runs", "list", "--store", "sqlite:///sub"],
        1,
        "store_unavailable",
        "open",
    ),
    "a store without a name": (["runs", "list", "--store", "sqlite:///."], 2, "usage", "not understood"),
    "nobody's home": (["runs", "list", "--store", "sqlite:///~nobody-here/x.db"], 2, "usage", "home"),
    "an export into a folder": (["audit", "export", "--output", "."], 2, "usage", "folder"),
    "no such file": (["run", "till:till", "--input", "gone.json"], 2, "usage", "gone.json"),
    "a folder": (["run", "till:till", "--input", "."], 2, "usage", "directory"),
    "no JSON": (["run", "till:till", "--input", "bad.json"], 2, "invalid_input", "line 1"),
    "a key twice": (["run", "till:till", "--input", "twice.json"], 2, "invalid_input", "stands twice"),
    "NaN": (["run", "till:till", "--input", "nan.json"], 2, "invalid_input", "NaN"),
    "no UTF-8": (["run", "till:till", "--input", "latin.json"], 2, "invalid_input", "UTF-8"),
    "nested too deeply": (["run", "till:till", "--input", "deep.json"], 2, "invalid_input", "deep.json"),
    "another shape": (
        ["run", "till:till", "--input", "shape.json"],
        2,
        "invalid_input",
        "amount: Field required",
    ),
    "no such model": (
        ["run", "till:till", "--input", "small.json", "--model", "gpt"],
        2,
        "definition",
        "gpt",
    ),
    "no such run": (["runs", "show", "r0"], 2, "run_not_found", "r0"),
    "no such item": (["inbox", "show", "r0-1"], 2, "item_not_found", "r0-1"),
    "edit without args": (["inbox", "decide", "x", "edit", "--by", "kim"], 2, "usage", "--args"),
    "args that are no JSON": (
        ["inbox", "decide", "x", "edit", "--args", "{item: 1}", "--by", "kim"],
        2,
        "usage",
        "no JSON",
    ),
    "args that are no object": (
        ["inbox", "decide", "x", "edit", "--args", "[]", "--by", "kim"],
        2,
        "usage",
        "object",
    ),
    "no such step": (["runs", "fork", "RUN", "till:till", "--from", "pay"], 2, "usage", "'pay'"),
    "no store": (["runs", "list", "--store", "sqlite:///none/x.db"], 1, "store_unavailable", "none/x.db"),
    "no URL": (["runs", "list", "--store", "x.db"], 2, "usage", "x.db"),
    "another database": (
        ["runs", "list", "--store", "sqlite:///other.db"],
        1,
        "store_unavailable",
        "other.db",
    ),
    "not a database": (
        ["runs", "list", "--store", "sqlite:///small.json"],
        1,
        "store_unavailable",
        "small.json",
    ),
}


@pytest.fixture
def prepared(shell: Shell) -> Shell:
    shell.write("syntax.py", "def (:\n")
    shell.write("name.py", "import os\n\nw = Workflo('x')\n")
    shell.write("imports.py", "import no_such_package\n")
    shell.write("leaves.py", "import sys\nsys.exit(3)\n")
    shell.write(
        "wrong.py",
        "from surefoot import Workflow, step\n\n"
        "@step\ndef first(n: int) -> str:\n    return 'x'\n\n"
        "@step\ndef last(firts: str) -> str:\n    return firts\n\n"
        "w = Workflow('wrong', input=int, steps=[first, last])\n",
    )
    shell.write("bad.json", "{item: 1}")
    shell.write("twice.json", '{"item": "x", "item": "y", "amount": 1}')
    shell.write("nan.json", '{"item": "x", "amount": NaN}')
    shell.write("deep.json", "[" * 100_000)
    shell.write("shape.json", '{"item": "x"}')
    (shell.folder / "latin.json").write_bytes('{"item": "Stra\xdfe"}'.encode("latin-1"))
    (shell.folder / "sub").mkdir()
    import sqlite3

    with sqlite3.connect(shell.folder / "other.db") as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    assert shell.here("run", "till:till", "--input", "small.json", "--quiet").code == 0
    return shell


def words_of(shell: Shell, words: list[str]) -> list[str]:
    if "RUN" not in words:
        return words
    (row,) = shell.here("runs", "list", "--json").lines
    return [row["run"] if word == "RUN" else word for word in words]


def judge(said: Said, code: int, kind: str, text: str, *, json: bool) -> None:
    assert said.code == code, said
    assert "Traceback" not in said.err + said.out
    assert 'File "' not in said.err + said.out
    assert said.err.count("error: ") == 1, said.err
    assert f"[{kind}]" in said.err
    assert text in said.err
    if json:
        assert said.json["error"]["code"] == kind
        assert said.json["error"].keys() == {"code", "what", "why", "remedy", "docs"}
    else:
        assert said.out == ""


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_short_word_and_its_exit_code(prepared: Shell, name: str) -> None:
    words, code, kind, text = BAD[name]
    words = words_of(prepared, words)
    judge(prepared.here(*words), code, kind, text, json=False)
    judge(prepared.here(*words, "--json"), code, kind, text, json=True)


@pytest.mark.parametrize(
    "name", ["no such object", "a mistake in the definition", "no JSON", "not a database"]
)
def test_the_same_from_a_process(prepared: Shell, name: str) -> None:
    words, code, kind, text = BAD[name]
    judge(prepared.process(*words), code, kind, text, json=False)


def test_debug_shows_the_way_without_secrets(prepared: Shell) -> None:
    prepared.setenv("SHOP_API_KEY", "sk-very-secret-value")
    prepared.write("leaks.py", "import os\nraise RuntimeError('no ' + os.environ['SHOP_API_KEY'])\n")
    plain = prepared.process("check", "leaks:w")
    assert "Traceback" not in plain.err
    assert "[secret:SHOP_API_KEY]" in plain.err
    debug = prepared.process("check", "leaks:w", "--debug")
    assert 'leaks.py", line 2' in debug.err
    assert "sk-very-secret-value" not in plain.err + debug.err


def test_a_broken_pyproject_is_told_as_such(shell: Shell) -> None:
    shell.write("pyproject.toml", "[tool.surefoot\n")
    said = shell.here("run", "till:till", "--input", "small.json")
    judge(said, 2, "usage", "pyproject.toml cannot be read", json=False)


def test_what_control_characters_an_error_holds_is_shown_and_not_sent(shell: Shell) -> None:
    said = shell.here("run", "till:till", "--input", "\x1b[31mred\x07")
    assert "\x1b" not in said.err
    assert "\\x1b[31mred\\x07" in said.err


def test_a_store_that_cannot_be_written_is_no_stack_trace(shell: Shell) -> None:
    shell.write("blocked", "")
    said = shell.process("run", "till:till", "--input", "small.json", "--store", "sqlite:///blocked/x.db")
    judge(said, 1, "store_unavailable", "blocked", json=False)
