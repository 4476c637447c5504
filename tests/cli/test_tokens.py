"""`surefoot tokens`: made once, shown once, narrowed, taken back."""

from .conftest import Shell


def test_a_token_stands_alone_on_stdout_and_nowhere_else(shell: Shell) -> None:
    made = shell.here("tokens", "create", "--person", "kim", "--scope", "inbox:decide,runs:read")
    assert made.code == 0
    token = made.out.strip()
    assert token.startswith("sft_")
    assert token not in made.err
    assert "kim may inbox:decide, runs:read" in made.err
    assert token not in shell.here("tokens", "list").out
    folder = shell.folder / ".surefoot"
    for file in folder.iterdir():
        if file.is_file():
            assert token.rpartition("_")[2].encode() not in file.read_bytes(), file


def test_a_first_token_may_be_made_before_there_is_a_store(shell: Shell) -> None:
    made = shell.here("tokens", "create", "--person", "kim", "--scope", "admin", "--json")
    assert made.json["scopes"] == ["admin"]
    assert "everybody needs a token" in made.err
    again = shell.here("tokens", "create", "--person", "bo", "--scope", "runs:read", "--expires", "2w")
    assert "everybody needs a token" not in again.err
    kim, bo = shell.here("tokens", "list", "--json").lines
    assert (kim["person"], kim["state"], kim["expires"]) == ("kim", "holds", None)
    assert bo["expires"] > bo["created"]


def test_a_token_is_taken_back_by_its_id_or_by_itself(shell: Shell) -> None:
    first = shell.here("tokens", "create", "--person", "kim", "--scope", "admin", "--json").json
    second = shell.here("tokens", "create", "--person", "bo", "--scope", "admin").out.strip()
    assert shell.here("tokens", "revoke", first["id"], "--json").json == {"revoked": first["id"]}
    assert shell.here("tokens", "revoke", second).code == 0
    assert [row["state"] for row in shell.here("tokens", "list", "--json").lines] == ["revoked", "revoked"]
    twice = shell.here("tokens", "revoke", first["id"], "--json")
    assert (twice.code, twice.json["error"]["code"]) == (2, "usage")


def test_a_token_for_nobody_or_for_nothing_is_not_made(shell: Shell) -> None:
    assert shell.here("tokens", "create", "--person", " ", "--scope", "admin").code == 2
    wrong = shell.here("tokens", "create", "--person", "kim", "--scope", "runs:all")
    assert wrong.code == 2
    assert "inbox:decide" in wrong.err
    assert shell.here("tokens", "create", "--person", "kim").code == 2
    assert shell.here("tokens", "list").out == ""
