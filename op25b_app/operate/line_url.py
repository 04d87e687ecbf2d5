"""Read a source of lines from a URL.

It is a program of its own: looking up a name may block, and a server may send its answer a byte at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

MAX_BYTES = 256 << 20
"""Maximum size of an answer; a million leases are 100 MB."""
SILENT_SECONDS = 10.0
"""Seconds for which a server may send nothing."""


def answer_of(url: str, token_file: str | None) -> bytes:
    """Return the body of the answer. Raises OSError, its text the reason, where there is none."""
    headers = {"Accept": "application/json"}
    if token_file is not None:
        headers["Authorization"] = f"Bearer {Path(token_file).read_text().strip()}"
    try:
        with urlopen(Request(url, headers=headers), timeout=SILENT_SECONDS) as answer:
            body: bytes = answer.read(MAX_BYTES + 1)
    except HTTPError as failure:
        raise OSError(f"the server answers {failure.code} {failure.reason}") from None
    except URLError as failure:
        raise OSError(f"the server cannot be reached: {failure.reason}") from None
    if len(body) > MAX_BYTES:
        raise OSError(f"the answer is larger than {MAX_BYTES >> 20} MiB")
    return body


def main(arguments: Sequence[str]) -> int:
    """Write the answer of a URL to standard output; the reason why there is none to standard error."""
    url, *token_file = arguments
    try:
        sys.stdout.buffer.write(answer_of(url, token_file[0] if token_file else None))
    except (OSError, ValueError) as failure:
        sys.stderr.write(getattr(failure, "strerror", None) or str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
