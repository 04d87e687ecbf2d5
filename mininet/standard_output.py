"""Standard output for a program whose output is read by another program."""

from __future__ import annotations

import os
import sys


def claim_standard_output() -> None:
    """Keep standard output for ``print`` of this process; what it starts now prints to standard error.

    A program cannot know what the programs print that it starts: Postfix 3.10 prints its log lines.
    """
    sys.stdout.flush()
    own = os.dup(1)  # children do not inherit it (PEP 446)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
