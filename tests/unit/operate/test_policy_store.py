"""The policy that is kept: whole, private, or not there."""

from __future__ import annotations

import hashlib
import json
import os
import posix
import stat
from pathlib import Path

import pytest

from op25b_app.operate.policy_store import PolicyStore, StoredPolicy, StoreError

POLICY = Path("/isp/policy.yaml")
FIRST = StoredPolicy(
    1_800_000_000.5, {POLICY: b"isp: {}\n", Path("/isp/pools.txt"): "100.64.0.0/10  # Nürnberg\r\n".encode()}
)
SECOND = StoredPolicy(1_800_000_100.0, {POLICY: b"isp: {name: x}\n"})


@pytest.fixture
def store(tmp_path: Path) -> PolicyStore:
    return PolicyStore(tmp_path / "state" / "op25b")


def test_it_gives_back_what_it_was_given(store: PolicyStore) -> None:
    assert store.recall(POLICY) is None
    store.keep(POLICY, FIRST)
    assert store.recall(POLICY) == FIRST
    assert list(store.recall(POLICY).files) == list(FIRST.files)  # type: ignore[union-attr]
    store.keep(POLICY, SECOND)
    assert store.recall(POLICY) == SECOND
    assert store.recall(Path("/isp/other.yaml")) is None
    assert os.listdir(store.directory) == [store.place(POLICY).name]


def test_only_its_user_may_read_it(store: PolicyStore) -> None:
    mask = os.umask(0)
    try:
        store.keep(POLICY, FIRST)
        store.keep(POLICY, SECOND)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(store.place(POLICY).stat().st_mode) == 0o600
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_a_death_while_it_writes_leaves_the_old_one(
    store: PolicyStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.keep(POLICY, FIRST)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(posix, call, die)
        with pytest.raises(KeyboardInterrupt):
            store.keep(POLICY, SECOND)
    assert store.recall(POLICY) == FIRST
    store.keep(POLICY, SECOND)
    assert store.recall(POLICY) == SECOND


def test_what_is_not_whole_is_not_used(store: PolicyStore) -> None:
    store.keep(POLICY, FIRST)
    place = store.place(POLICY)
    whole = place.read_bytes()
    changed = json.loads(whole)
    changed["files"][1]["text"] = "198.51.100.0/24\n"
    for damaged in [
        *(whole[:length] for length in range(len(whole))),
        json.dumps(changed).encode(),
        b"[]",
        b"{}",
    ]:
        place.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged, or of another version"):
            store.recall(POLICY)


def kept_with(**changes: object) -> bytes:
    body = {
        "format": 1,
        "policy": str(POLICY),
        "since": 1.0,
        "sha256": hashlib.sha256(b"isp: {}").hexdigest(),
        "files": [{"path": str(POLICY), "text": "isp: {}"}],
    }
    return json.dumps(body | changes).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"9" * 5000,
        b'"\\ud800"',
        b"\xff",
        *(
            kept_with(since=since)
            for since in (float("nan"), float("inf"), -1, 1e300, 10**400, "9" * 400, None)
        ),
        kept_with(files=[{"path": str(POLICY), "text": "\ud800"}]),
        kept_with(files={"path": 1}),
        kept_with(files=[{"path": 1, "text": ""}]),
    ],
    ids=lambda content: content[:20] if len(content) < 1000 else content[-40:],
)
def test_whatever_it_holds_it_is_used_or_told(store: PolicyStore, content: bytes) -> None:
    store.keep(POLICY, FIRST)
    store.place(POLICY).write_bytes(kept_with())
    assert store.recall(POLICY) == StoredPolicy(1.0, {POLICY: b"isp: {}"})
    store.place(POLICY).write_bytes(content)
    with pytest.raises(StoreError, match="damaged, or of another version"):
        store.recall(POLICY)


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    store = PolicyStore(tmp_path / "state")
    with pytest.raises(StoreError, match=r"cannot keep the policy in .*/state/policy-.*\.json: "):
        store.keep(POLICY, FIRST)
    with pytest.raises(StoreError, match="cannot read the policy kept in"):
        store.recall(POLICY)
