"""Which connection speaks for a datapath id: the first that lives; nobody who would come again is closed."""

from __future__ import annotations

import pytest

from op25b_app.sync.claims import AGAIN_SECONDS, LIFE_SECONDS, MAX_WAITING, ClaimActions, Claims

HERE, THERE = "192.0.2.1", "192.0.2.2"
SOON, LATE = LIFE_SECONDS / 2, LIFE_SECONDS


@pytest.fixture
def claims() -> Claims[str]:
    """One connection is in use."""
    made: Claims[str] = Claims()
    assert made.claim("first", HERE, 0.0) == ClaimActions(use="first")
    return made


def closed(actions: ClaimActions[str]) -> list[str]:
    return [key for key, _ in actions.close]


def test_one_alone_is_spoken_to_and_not_asked(claims: Claims[str]) -> None:
    assert not claims.is_contested
    assert claims.tick(1000.0) == ClaimActions()
    assert not claims.note_message("first", 1000.0)
    assert claims.ended("first", 1001.0) == ClaimActions()
    assert not claims


def test_the_second_waits_while_the_first_lives(claims: Claims[str]) -> None:
    assert claims.claim("second", THERE, 10.0) == ClaimActions(ask="first")
    assert not claims.rivals, "nothing is known yet"
    assert claims.note_message("first", 10.1)
    assert [*claims.rivals] == ["first", "second"]
    assert not claims.note_message("first", 10.2), "known"
    for now in range(11, 40):
        actions = claims.tick(now)
        assert actions in (ClaimActions(), ClaimActions(ask="first"))
        if actions.ask:
            claims.note_message("first", now + 0.1)
        assert [*claims.rivals] == ["first", "second"]


def test_a_half_open_connection_loses_its_place(claims: Claims[str]) -> None:
    claims.claim("second", HERE, 10.0)
    assert not claims.note_message("second", 10.1)
    assert claims.tick(10.0 + SOON) == ClaimActions()
    actions = claims.tick(10.0 + LATE)
    assert (actions.use, closed(actions)) == ("second", ["first"])
    assert claims.claim("second", HERE, 12.0) == ClaimActions(use="second"), "asked again, it says the same"
    assert (claims.rivals, claims.is_contested) == ((), False)
    assert claims.ended("first", 13.0) == ClaimActions()
    assert claims.in_use == "second"


def test_nobody_is_judged_before_all_is_read_that_it_has_sent(claims: Claims[str]) -> None:
    claims.claim("second", HERE, 10.0)
    for now in range(11, 60):
        claims.note_backlog(now)
        assert claims.tick(now) == ClaimActions()
    assert claims.tick(59.0 + SOON) == ClaimActions()
    assert claims.tick(59.0 + LATE).use == "second"


def test_without_a_question_there_is_nothing_to_be_behind_with(claims: Claims[str]) -> None:
    claims.claim("second", THERE, 10.0)
    claims.note_message("first", 10.1)
    claims.note_backlog(12.0)
    assert claims.tick(10.1 + AGAIN_SECONDS) == ClaimActions(ask="first")


def test_claims_are_of_main_connections(claims: Claims[str]) -> None:
    claims.auxiliary("one", HERE, 1)
    claims.claim("second", THERE, 10.0)
    assert [claims.is_claimed_by(each) for each in ("first", "second", "one")] == [True, True, False]


def test_one_that_died_while_others_waited_loses_its_place_as_well(claims: Claims[str]) -> None:
    claims.claim("second", THERE, 10.0)
    claims.note_message("first", 10.1)
    assert claims.tick(10.1 + AGAIN_SECONDS / 2) == ClaimActions()
    assert claims.tick(10.1 + AGAIN_SECONDS) == ClaimActions(ask="first")
    assert claims.tick(10.1 + AGAIN_SECONDS + LATE).use == "second"


def test_life_that_was_shown_in_a_former_contest_counts_for_nothing(claims: Claims[str]) -> None:
    claims.claim("second", THERE, 10.0)
    claims.note_message("first", 10.1)
    claims.ended("second", 11.0)
    assert not claims.rivals
    claims.claim("third", HERE, 500.0)
    assert not claims.rivals
    assert claims.tick(500.0 + LATE).use == "third"


def test_the_newest_follows_and_has_to_live(claims: Claims[str]) -> None:
    for key in ("second", "third"):
        claims.claim(key, THERE, 10.0)
    claims.note_message("first", 10.1)
    assert [*claims.rivals] == ["first", "second", "third"]
    assert claims.ended("first", 11.0) == ClaimActions(use="third", ask="third")
    assert not claims.rivals
    actions = claims.tick(11.0 + LATE)
    assert (actions.use, closed(actions)) == ("second", ["third"])


def test_not_everybody_may_wait(claims: Claims[str]) -> None:
    decided = [claims.claim(f"rival {number}", THERE, 10.0) for number in range(MAX_WAITING + 2)]
    assert [closed(each) for each in decided] == [[]] * MAX_WAITING + [["rival 0"], ["rival 1"]]
    assert claims.in_use == "first"


def test_auxiliary_connections_claim_nothing(claims: Claims[str]) -> None:
    assert claims.auxiliary("one", HERE, 1) == ClaimActions()
    assert claims.auxiliary("two", HERE, 2) == ClaimActions()
    assert claims.in_use == "first"
    assert not claims.is_contested
    assert closed(claims.auxiliary("one again", HERE, 1)) == ["one"]
    assert claims.ended("one", 2.0) == ClaimActions()
    assert closed(claims.auxiliary("stranger", THERE, 1)) == ["stranger"]
    assert sorted(closed(claims.ended("first", 3.0))) == ["one again", "two"]
    assert not claims


def test_an_auxiliary_connection_before_the_main_one_is_closed() -> None:
    claims: Claims[str] = Claims()
    assert closed(claims.auxiliary("early", HERE, 1)) == ["early"]
    assert not claims


def test_auxiliary_connections_stay_while_their_switch_connects_again(claims: Claims[str]) -> None:
    claims.auxiliary("one", HERE, 1)
    claims.claim("again", HERE, 10.0)
    assert closed(claims.tick(10.0 + LATE)) == ["first"]
    assert closed(claims.ended("again", 12.0)) == ["one"]
