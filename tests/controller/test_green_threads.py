"""Work that is repeated goes on after an error in it."""

from __future__ import annotations

import logging

import pytest
from ryu.lib import hub

from op25b_app.controller import green_threads
from testing.patience import HANG_SECONDS


def test_an_error_is_logged_and_the_work_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(green_threads, "REST_SECONDS", 0.0)
    done, again = [0], hub.Event()

    def work() -> None:
        done[0] += 1
        if done[0] == 1:
            raise RuntimeError("at first")
        again.set()
        hub.Event().wait()

    green_threads.repeat(work)
    with hub.Timeout(HANG_SECONDS):
        again.wait()
    [record] = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "internal error")
    assert "at first" in str(record.exc_info)
