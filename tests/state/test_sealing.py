"""Keys: sealed values open only where they belong, and a ring survives rotation and a race at its birth."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.errors import KeyUnavailable, StoreUnavailable
from surefoot.state.sealing import KEY_BYTES, Keyring


def test_a_sealed_value_opens_in_its_place_only() -> None:
    key = Keyring.generate().new_run_key()
    sealed = key.seal(b"kim@example.org", b"run-1/3")
    assert b"kim" not in sealed
    assert key.open(sealed, b"run-1/3") == b"kim@example.org"
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong, place in ((sealed, b"run-1/4"), (changed, b"run-1/3"), (b"", b"run-1/3")):
        with pytest.raises(KeyUnavailable):
            key.open(wrong, place)
    assert key.seal(b"same", b"") != key.seal(b"same", b"")


def test_a_run_key_comes_back_from_its_wrapping() -> None:
    ring = Keyring.generate()
    key = ring.new_run_key()
    again = ring.unwrap(key.wrapped)
    assert again.open(key.seal(b"x", b"a"), b"a") == b"x"
    assert again.digest(b"value") == key.digest(b"value")
    assert len(key.digest(b"value")) == 32
    assert key.digest(b"value") != ring.new_run_key().digest(b"value")
    with pytest.raises(KeyUnavailable):
        ring.new_run_key().open(key.seal(b"x", b"a"), b"a")


def test_a_forgotten_or_changed_or_foreign_key_is_unavailable() -> None:
    ring = Keyring.generate()
    wrapped = ring.new_run_key().wrapped
    with pytest.raises(KeyUnavailable, match="gone"):
        ring.unwrap(b"")
    with pytest.raises(KeyUnavailable, match="changed"):
        ring.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    with pytest.raises(KeyUnavailable, match="not in the ring"):
        Keyring.generate().unwrap(wrapped)


def test_a_rotated_ring_opens_old_and_new() -> None:
    old, new = os.urandom(KEY_BYTES), os.urandom(KEY_BYTES)
    before, after = Keyring([old]), Keyring([old, new])
    key = before.new_run_key()
    assert after.unwrap(key.wrapped).digest(b"a") == key.digest(b"a")
    assert after.verify(b"head", before.sign(b"head"))
    assert after.digest(b"input") == before.digest(b"input"), "the same input must stay the same"
    assert not before.verify(b"head", after.sign(b"head"))
    assert not after.verify(b"other", after.sign(b"head"))
    assert not after.verify(b"head", b"")


def test_a_ring_is_made_once_and_privately(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    first, second = Keyring.load_or_create(path), Keyring.load_or_create(path)
    assert second.verify(b"a", first.sign(b"a"))
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o077 == 0
    assert set(os.listdir(path.parent)) <= {"keys.json", "keys.json.lock"}


def test_processes_that_start_at_once_get_the_same_ring(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    program = (
        "import sys; from pathlib import Path; from surefoot.state.sealing import Keyring; "
        "sys.stdin.read(); print(Keyring.load_or_create(Path(sys.argv[1])).sign(b'a').hex())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    signatures = set()
    for child in children:
        assert child.stdout is not None
        signatures.add(child.stdout.read())
        child.stdout.close()
        assert child.wait() == 0
    assert len(signatures) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"keys": []}', '{"keys": ["###"]}', '{"keys": ["YWJj"]}']
)
def test_a_damaged_ring_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(KeyUnavailable):
        Keyring.load_or_create(path)
    assert path.read_text() == content


def test_a_ring_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        Keyring.load_or_create(tmp_path / "file" / "keys.json")
    with pytest.raises(KeyUnavailable):
        Keyring.load(tmp_path / "none.json")


def test_the_master_key_may_come_from_the_environment(tmp_path: Path) -> None:
    old, new = (base64.b64encode(os.urandom(KEY_BYTES)).decode() for _ in range(2))
    assert Keyring.from_env({}) is None
    one = Keyring.from_env({"SUREFOOT_MASTER_KEY": old})
    both = Keyring.from_env({"SUREFOOT_MASTER_KEY": f"{old}, {new}"})
    assert one is not None
    assert both is not None
    assert both.verify(b"a", one.sign(b"a"))
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"version": 1, "keys": [old]}))
    assert Keyring.load(path).sign(b"a") == one.sign(b"a")
    with pytest.raises(KeyUnavailable, match="SUREFOOT_MASTER_KEY"):
        Keyring.from_env({"SUREFOOT_MASTER_KEY": "not base64!"})
    with pytest.raises(KeyUnavailable, match="3 bytes"):
        Keyring.from_env({"SUREFOOT_MASTER_KEY": "YWJj"})
