"""Files of the policy that do not answer."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from tests.faults.campaign.hostile.attack import Attack
from tests.faults.campaign.hostile.registry import hostile

_HANGS_SECONDS = 8.0
_REST_SECONDS = 4.0


@hostile("a policy file that does not answer", 32, most=1)
async def hang_file(attack: Attack) -> None:
    """For a while the policy, or its list of prefixes, is a FIFO, as if on a mount whose server is gone."""
    policy = attack.target.policy
    path = attack.chance.choice((policy, policy.with_name("pools.txt")))
    kept = path.with_name(f"{path.name}.kept")
    os.replace(path, kept)
    try:
        os.mkfifo(path)
        os.kill(attack.target.pid, signal.SIGHUP)
        attack.did("reloads")
        await asyncio.sleep(_HANGS_SECONDS)
    finally:
        _let_go(path)
        os.replace(kept, path)
    os.kill(attack.target.pid, signal.SIGHUP)
    await asyncio.sleep(_REST_SECONDS)


def _let_go(fifo: os.PathLike[str]) -> None:
    """Whoever waits for a FIFO finds it empty, as a mount that is back is no longer waited for."""
    with suppress(OSError):
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
