"""Garbage that only Python's collector finds, made by the tests to see in which thread it ends."""

from __future__ import annotations

import threading


class Cycle:
    """Refers to itself; adds the thread in which it ends to a list."""

    def __init__(self, ended_in: list[int]) -> None:
        self.self = self
        self._ended_in = ended_in

    def __del__(self) -> None:
        self._ended_in.append(threading.get_ident())


def make_in_another_thread(number: int) -> list[int]:
    """Make so many cycles in a thread of its own; return the list of threads in which they end."""
    ended_in: list[int] = []

    def make() -> None:
        for _ in range(number):
            Cycle(ended_in)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return ended_in
