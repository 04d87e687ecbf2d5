"""Steady mail from one host, run in its namespaces: ``mail_traffic.py INTERVAL ATTEMPT`` (ATTEMPT in JSON).

Begins an attempt every INTERVAL seconds, whether or not earlier ones have ended, until standard input closes;
then prints what became of each, as JSON: a list of [Message-ID, result, text].
"""

from __future__ import annotations

import json
import select
import sys
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from mail_client import Attempt, Outcome, hand_over


def run(attempt: Attempt, interval: float) -> list[tuple[str, str, str]]:
    """Send until standard input closes; each message gets a Message-ID of its own."""
    begun: list[tuple[str, Future[Outcome]]] = []
    # Enough for attempts that all time out.
    with ThreadPoolExecutor(max_workers=int(attempt.timeout / interval) + 8) as pool:
        while not select.select([sys.stdin], [], [], interval)[0]:
            message_id = f"<{uuid.uuid4()}@lab.example>"
            begun.append((message_id, pool.submit(hand_over, replace(attempt, message_id=message_id))))
    return [(message_id, future.result().result, future.result().text) for message_id, future in begun]


if __name__ == "__main__":
    print(json.dumps(run(Attempt(**json.loads(sys.argv[2])), float(sys.argv[1]))))
