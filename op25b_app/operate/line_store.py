"""Keep what was learned of lines on disk: what holds now, and what held before.

It is an SQLite database, written in one transaction for each piece of news; it survives the end of the
process at any moment. Personal data: see docs/policy.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from op25b_app.lines.line_table import Claim, ClaimNews
from op25b_app.net.prefix import Prefix
from op25b_app.operate.policy_store import StoreError
from op25b_app.operate.state_directory import kept_file
from op25b_app.policy.model import SubscriberPort

FORMAT = 1
KEPT_SECONDS = 90 * 86_400
"""Seconds for which an ended claim is kept."""
MAX_ENDED = 2_000_000
"""Maximum number of ended claims that are kept; the oldest go first."""
BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE IF NOT EXISTS claims (
    source TEXT NOT NULL, version INTEGER NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL,
    length INTEGER NOT NULL, switch TEXT NOT NULL, port INTEGER NOT NULL, vlan INTEGER, mac INTEGER,
    since REAL NOT NULL, until REAL, file_line INTEGER NOT NULL, ended REAL
);
CREATE UNIQUE INDEX IF NOT EXISTS current ON claims (source, version, first, length) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS by_address ON claims (version, first);
CREATE INDEX IF NOT EXISTS by_end ON claims (ended) WHERE ended IS NOT NULL;
"""
_COLUMNS = "source, version, first, length, switch, port, vlan, mac, since, until, file_line"


class LineStore:
    """The database of one policy file. Methods open it anew, so that any thread may call them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def recall(self, at: float | None = None) -> list[Claim]:
        """Return the claims that have not ended, or had not at a moment, the oldest first.

        ``at`` is in seconds since 1970. There are none where there is no database. Raises StoreError where it
        cannot be read.
        """
        if not self.path.exists():
            return []
        condition, values = "ended IS NULL", tuple[float, ...]()
        if at is not None:
            condition, values = "since <= ? AND (ended IS NULL OR ended > ?)", (at, at)
        with self._opened() as database:
            rows = database.execute(f"SELECT {_COLUMNS} FROM claims WHERE {condition} ORDER BY rowid", values)
            return [_claim(row) for row in rows]

    def keep(self, news: Iterable[ClaimNews], at: float) -> None:
        """Write what has happened to claims, all of it or nothing; ``at`` is in seconds since 1970.

        Raises StoreError where it cannot be written.
        """
        with self._opened() as database:
            for claim, has_ended in news:
                key = claim.source, claim.prefix.version, _packed(claim.prefix.first), claim.prefix.length
                if has_ended:
                    database.execute(
                        "UPDATE claims SET ended = ? WHERE source = ? AND version = ? AND first = ?"
                        " AND length = ? AND ended IS NULL",
                        (at, *key),
                    )
                else:
                    _write(database, claim)
            database.execute("DELETE FROM claims WHERE ended < ?", (at - KEPT_SECONDS,))
            database.execute(
                "DELETE FROM claims WHERE rowid IN (SELECT rowid FROM claims WHERE ended IS NOT NULL"
                " ORDER BY ended DESC LIMIT -1 OFFSET ?)",
                (MAX_ENDED,),
            )

    def held_at(self, prefix: Prefix, at: float) -> list[Claim]:
        """Return the claims about addresses of a prefix that held at a moment (seconds since 1970).

        Raises StoreError where it cannot be read.
        """
        if not self.path.exists():
            return []
        with self._opened() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM claims WHERE version = ? AND first <= ? AND last >= ?"
                " AND since <= ? AND (ended IS NULL OR ended > ?) ORDER BY rowid",
                (prefix.version, _packed(prefix.last), _packed(prefix.first), at, at),
            )
            return [_claim(row) for row in rows]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the database in a transaction, which is undone where anything fails."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                (form,) = database.execute("PRAGMA user_version").fetchone()
                if form not in (0, FORMAT):
                    raise StoreError(f"{self.path} is of another version of op25b: move it away")
                if form == 0:
                    database.executescript(_TABLES)
                    database.execute(f"PRAGMA user_version = {FORMAT}")
                with database:
                    yield database
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot keep learned lines in {self.path}: {error}") from None


def line_store_path(directory: Path, policy: Path) -> Path:
    """Return where the lines of a policy file are kept in a state directory."""
    return kept_file(directory, "lines", policy, ".sqlite")


def _write(database: sqlite3.Connection, claim: Claim) -> None:
    _, port, vlan = claim.line
    prefix = claim.prefix
    database.execute(
        "INSERT INTO claims (source, version, first, last, length, switch, port, vlan, mac, since, until,"
        " file_line) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source, version, first, length) WHERE ended IS NULL DO UPDATE SET"
        " switch = excluded.switch, port = excluded.port, vlan = excluded.vlan, mac = excluded.mac,"
        " since = excluded.since, until = excluded.until, file_line = excluded.file_line",
        (
            claim.source,
            prefix.version,
            _packed(prefix.first),
            _packed(prefix.last),
            prefix.length,
            claim.line.switch,
            port,
            vlan,
            claim.mac,
            claim.since,
            claim.until,
            claim.file_line,
        ),
    )


def _claim(row: tuple[object, ...]) -> Claim:
    source, version, first, length, switch, port, vlan, mac, since, until, file_line = row
    prefix = Prefix(int(version), int.from_bytes(first, "big"), int(length))  # type: ignore[call-overload,arg-type]
    line = SubscriberPort(str(switch), int(port), vlan)  # type: ignore[call-overload,arg-type]
    return Claim(prefix, line, mac, since, until, str(source), file_line)  # type: ignore[arg-type]


def _packed(address: int) -> bytes:
    """Return an address as bytes that sort like numbers; an SQLite integer has 64 bits."""
    return address.to_bytes(16, "big")
