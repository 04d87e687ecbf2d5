"""What a start falls back to when a policy cannot be read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from op25b_app.net.prefix import Prefix
from op25b_app.operate.policy_manager import PolicyManager, PolicyRefusedError
from op25b_app.operate.policy_store import PolicyStore
from op25b_app.operate.report import reload_report
from op25b_app.policy.facts import Facts
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.model import Binding, LocatedPrefix, SourceLocation

NOW = 1_800_000_000.0
PLACE = SourceLocation("leases.csv", 1, 1)
POLICY = b"""\
isp: {mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [100.64.0.0/10]}
switches: {s: {dpid: 1, subscriber_ports: [1], uplink_ports: [2]}}
"""
ODD = [
    b"[" * 200_000,
    b"a: &a [*a]\n",
    POLICY + b"#" * (17 << 20),
    POLICY + b"exceptions: [{name: a, source: 100.64.0.1, expires: '9999-12-31T23:59:59-05:00'}]\n",
    POLICY.replace(b"[1]", b"[1-65536, 1-65536]"),
    POLICY.replace(b"[100.64.0.0/10]", b'[{file: "a\\0b"}]'),
    b"\xff\xfe",
]


class Place:
    """A policy file and where policies are kept, with what was told at the last start."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "policy.yaml"
        self.store = PolicyStore(folder / "state")
        self.reported: list[str] = []
        self.learned: dict[str, tuple[Binding, ...]] = {}

    def start(self, content: bytes, at: float = NOW, *, yes: bool = False) -> PolicyManager:
        self.path.write_bytes(content)
        self.reported.clear()
        return PolicyManager(
            self.path,
            self.store,
            lambda level, kind, text, more: self.reported.append(text),
            at,
            work=lambda work, *arguments, **named: work(*arguments, **named),
            in_file_thread=lambda kind, subject, work, *arguments: work(*arguments),
            facts_of=lambda policy: Facts(self.learned if policy.lines is not None else {}),
            yes=yes,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("content", ODD, ids=lambda content: content[-20:])
def test_a_start_with_an_odd_file_goes_on_with_the_policy_that_is_kept(place: Place, content: bytes) -> None:
    before = place.start(POLICY).in_force
    after = place.start(content, NOW + 60).in_force
    assert after == before._replace(kept=True)
    assert place.reported == [
        f"policy {place.path} refused: the last one in force goes on, kept in {place.store.place(place.path)}"
    ]


def test_a_mistake_of_ours_in_reading_is_reported_and_costs_no_policy(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = place.start(POLICY).in_force

    def fail_for_the_file(*arguments: Any, **named: Any) -> Loaded:
        if len(arguments) > 3:  # as a policy that is kept is loaded without what was loaded before
            raise ZeroDivisionError("by zero")
        return load(*arguments, **named)

    monkeypatch.setattr("op25b_app.operate.candidate.load", fail_for_the_file)
    with caplog.at_level(logging.ERROR, "op25b"):
        after = place.start(POLICY).in_force
    assert after == before._replace(kept=True)
    assert (
        "policy.yaml:1:1: error: op25b fails to read this: ZeroDivisionError: by zero; please" in caplog.text
    )


@pytest.mark.parametrize("kept", [b"[" * 200_000, b'{"since": NaN}', b""])
def test_a_start_with_a_good_file_does_not_mind_what_is_kept(place: Place, kept: bytes) -> None:
    place.start(POLICY)
    place.store.place(place.path).write_bytes(kept)
    assert not place.start(POLICY).in_force.kept


def test_without_a_policy_that_is_kept_a_start_with_an_odd_file_is_refused(place: Place) -> None:
    with pytest.raises(PolicyRefusedError):
        place.start(ODD[0])


WIDE = POLICY.replace(b"[192.0.2.0/24]", b"[0.0.0.0/1]")
HALF_EXEMPT = POLICY.replace(b"dynamic:", b"static: [100.64.0.0/11, 100.96.0.0/12], dynamic:")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (WIDE, "mail_destinations let dynamic space reach 56.5 % of the IPv4 Internet on port 25"),
        (HALF_EXEMPT, "75 % of the own IPv4 space may speak port 25 to any destination"),
    ],
)
def test_a_policy_that_opens_far_wider_needs_yes(place: Place, content: bytes, reason: str) -> None:
    policies = place.start(POLICY)
    before = policies.in_force
    place.path.write_bytes(content)
    candidate, applied = policies.reload(NOW + 1)
    assert (applied, candidate.refusal(yes=False), policies.in_force) == (False, "opens", before)
    assert candidate.opens[0].startswith(reason)
    assert reason in place.reported[-1]
    assert place.reported[-1].endswith("to accept it: 'op25b reload --yes'")
    status, report = reload_report(candidate, place.path, yes=False)
    assert (status, report["refused"], report["opens"]) == ("409 Conflict", "opens", list(candidate.opens))
    assert policies.reload(NOW + 2, yes=True)[1]
    assert policies.reload(NOW + 3)[1], "what is open already needs no yes"


def test_a_start_with_a_policy_that_opens_far_wider_needs_yes(place: Place) -> None:
    before = place.start(POLICY).in_force
    assert place.start(WIDE).in_force == before._replace(kept=True)
    assert "reach 56.5 % of the IPv4 Internet" in place.reported[-1]
    assert not place.start(WIDE, yes=True).in_force.kept
    assert not place.start(WIDE).in_force.kept


def bound_lines(*ports: int) -> bytes:
    bindings = ", ".join(f"{{port: {port}, addresses: [100.64.0.{port}]}}" for port in ports)
    policy = POLICY.replace(b"subscriber_ports: [1]", b"subscriber_ports: [1, 3-5]")
    policy = policy.replace(b"uplink_ports: [2]", f"uplink_ports: [2], bindings: [{bindings}]".encode())
    return policy + b"hardening: {source_validation: binding}\n"


@pytest.mark.parametrize("with_effect", [True, False])
def test_a_policy_that_cuts_off_lines_needs_yes(place: Place, with_effect: bool) -> None:
    policies = place.start(bound_lines(1, 3, 4, 5))
    place.path.write_bytes(bound_lines(1, 3, 4))
    candidate, applied = policies.reload(NOW + 1, with_effect=with_effect)
    assert (applied, candidate.refusal(yes=False)) == (True, None), "a single line may change"
    assert candidate.headline == "3 of 4 lines keep their traffic; 1 loses all of it"
    place.path.write_bytes(bound_lines(1))
    candidate, applied = policies.reload(NOW + 2, with_effect=with_effect)
    assert (applied, candidate.refusal(yes=False)) == (False, "cuts off")
    headline = "1 of 4 lines keeps its traffic; 2 lose all of it; 1 has none, as before"
    assert candidate.headline == headline
    assert candidate.effect[:1] == ((headline,) if with_effect else ())
    reason = "2 of 4 lines would lose all traffic, because nothing is bound there: ports 3-4 of s"
    assert place.reported[-1].endswith(f"; {reason}; to accept it: 'op25b reload --yes'")
    status, report = reload_report(candidate, place.path, yes=False)
    assert (status, report["refused"], report["cuts_off"]) == ("409 Conflict", "cuts off", [reason])
    assert reason not in report["effect"]
    assert place.start(bound_lines(1)).in_force.kept
    assert policies.reload(NOW + 3, yes=True)[1]


def test_learned_lines_are_cut_off_where_nothing_is_learned_any_more(place: Place) -> None:
    learning = bound_lines(1) + b"lines: {sources: [{file: leases.csv}]}\n"
    learned = (
        Binding(port, None, (LocatedPrefix(Prefix(4, 0x64400100 + port, 32), PLACE),), PLACE)
        for port in (3, 4, 5)
    )
    place.learned["s"] = tuple(learned)
    policies = place.start(learning)
    place.path.write_bytes(learning + b"# again\n")
    candidate, applied = policies.reload(NOW + 1)
    assert (applied, candidate.headline) == (True, "4 of 4 lines keep their traffic")
    place.path.write_bytes(bound_lines(1))
    candidate, applied = policies.reload(NOW + 2)
    assert (applied, candidate.refusal(yes=False)) == (False, "cuts off")
    assert candidate.headline == "1 of 4 lines keeps its traffic; 3 lose all of it"


def test_the_first_start_has_nothing_to_compare_with(place: Place) -> None:
    assert not place.start(WIDE).in_force.kept


INCLUDING = POLICY.replace(b"switches:", b"include: ['switches/*.yaml', exceptions.yaml]\nswitches:")
"""A policy in several files."""
MORE = "switches: {{{0}: {{dpid: {1}, subscriber_ports: [1], uplink_ports: [2]}}}}\n"


def test_files_that_are_included_are_read_again_kept_and_recalled(place: Place) -> None:
    folder = place.path.parent / "switches"
    folder.mkdir()
    (folder / "t.yaml").write_text(MORE.format("t", 2))
    (folder.parent / "exceptions.yaml").write_text("exceptions: []\n")
    policies = place.start(INCLUDING)
    assert [*policies.in_force.policy.switches] == ["s", "t"]
    assert {folder, folder / "t.yaml", folder.parent / "exceptions.yaml"} < policies.named
    (folder / "u.yaml").write_text(MORE.format("u", 3))
    assert policies.reload(NOW + 1)[1]
    assert [*policies.in_force.policy.switches] == ["s", "t", "u"]
    (folder / "u.yaml").write_text("broken: [")
    after = place.start(INCLUDING)
    assert after.in_force.kept
    assert after.in_force.digest == policies.in_force.digest
    assert after.in_force.policy == policies.in_force.policy


def test_a_further_file_that_cannot_be_read_is_reported(place: Place) -> None:
    folder = place.path.parent / "more"
    folder.mkdir()
    manager = place.start(b"include: ['more/*']\n" + POLICY)
    (folder / "a").symlink_to("missing")
    place.reported.clear()
    assert manager.reload(NOW + 60, unless_same=True)[1] is False
    assert place.reported == [f"policy {place.path} refused: the one in force stays in force"]
    assert manager.refused is not None
    (folder / "a").unlink()
    manager.reload(NOW + 120, unless_same=True)
    assert manager.refused is None
