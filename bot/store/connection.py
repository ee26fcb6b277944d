"""The SQLite file: open, check, migrate, back up; transactions. Event loop (aiosqlite brings its own threads).

Two connections: writes run one after the other through `transaction()`, reads see the last commit. A third one is
opened for the searches of web galleries.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from bot.errors import StoreError
from bot.files import as_files_error

APPLICATION_ID = 0x52455645
"""`REVE`, in the header of the file: identifies our database."""
BUSY_TIMEOUT_MS = 5_000
_MOST_TOGETHER = 16
"""Functions that share a commit: more of them would keep the first one waiting longer than its disk does."""
_DAMAGED_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Row = sqlite3.Row
Values = Sequence[object] | dict[str, object]
Work = Callable[[sqlite3.Connection], object]
T = TypeVar("T")


class Database:
    """One SQLite file. Call `open` first and `close` last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = asyncio.Lock()
        self._sole: aiosqlite.Connection | None = None
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        self._apart: aiosqlite.Connection | None = None
        self._opening = asyncio.Lock()
        self._interrupted = False
        self._queued: list[tuple[Work, Callable[[Any], None], asyncio.Future[Any]]] = []
        self._committer: asyncio.Task[None] | None = None

    async def open(self, *, sole: bool = True) -> None:
        """Open or create the file, check it and migrate it.

        With `sole` no second process can open it so until this one closes it or ends, however it ends.

        Raises:
            StoreError: if it is damaged, from a newer version, not our database, in use or not writable.
        """
        try:
            with _as_store_error(self.path):
                if sole:
                    await self._lock_out()
                self._writer = await _connect(self.path)
                await self._check()
                await self._migrate()
                self._reader = await _connect(self.path)
                await self._reader.execute("PRAGMA query_only = ON")
        except BaseException:
            await self.close()
            raise

    async def see_free(self) -> None:
        """Check that no other process holds the file; create, open and keep nothing.

        Raises:
            StoreError: if one does.
            FilesError: if the file's folder cannot be used.
        """
        with as_files_error(self.path):
            if not self.path.exists():
                return
        try:
            with _as_store_error(self.path):
                await self._lock_out()
        finally:
            await self.close()

    async def inspect(self) -> tuple[int, int]:
        """Version of the file and the one that this code knows; does not create, migrate or keep open the file.

        Raises:
            StoreError: as `open`.
        """
        # Without a log next to it no process writes to the file. Then SQLite need not create files, which would
        # belong to the user who runs this check.
        in_use = self.path.with_name(f"{self.path.name}-wal").exists()
        try:
            with _as_store_error(self.path):
                self._writer = await _opened(f"{self.path.resolve().as_uri()}?{'mode=ro' if in_use else 'immutable=1'}")
                await self._check()
                return await self._version(), len(migrations())
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the file; committed changes stay."""
        async with self._lock, self._opening:
            for connection in (self._apart, self._reader, self._writer, self._sole):
                if connection is not None:
                    await connection.close()
            self._apart = self._reader = self._writer = self._sole = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Commit everything done inside, or nothing; one transaction at a time.

        Raises:
            StoreError: if SQLite fails. Other errors from inside pass through after the rollback.
        """
        async with self._lock:
            if self._writer is None:
                raise StoreError("store_closed")
            with _as_store_error(self.path):
                if self._interrupted:
                    await self._writer.rollback()
                self._interrupted = True
                try:
                    await self._writer.execute("BEGIN IMMEDIATE")
                    yield self._writer
                    await self._writer.commit()
                except BaseException:
                    # A task that is cancelled twice does not get past this line; the next transaction rolls back then.
                    await self._writer.rollback()
                    self._interrupted = False
                    raise
                self._interrupted = False

    async def write(self, work: Callable[[sqlite3.Connection], T], committed: Callable[[T], None] | None = None) -> T:
        """Commit everything that a function does, or nothing; the function runs on the thread of the connection.

        It does nothing but reads and writes of the database: it may run twice.

        Functions that come while the disk is busy are committed together: a crowd shares the wait for it. A function
        that was begun is committed even if its caller is cancelled; `committed` gets its result in any case.

        Raises:
            StoreError: if SQLite fails. Other errors of the function pass through after the rollback.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queued.append((work, committed or (lambda outcome: None), done))
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_queued(), name="commit")
        with _as_store_error(self.path):
            return await done

    async def _commit_queued(self) -> None:
        """Commit what is queued, and what comes meanwhile."""
        try:
            while self._queued:
                async with self._lock:
                    queued = [item for item in self._queued[:_MOST_TOGETHER] if not item[2].cancelled()]
                    del self._queued[:_MOST_TOGETHER]
                    try:
                        outcomes = await self._committed([work for work, _, _ in queued])
                    except Exception as exc:  # Each caller gets it.
                        outcomes = [exc] * len(queued)
                for (_, committed, done), outcome in zip(queued, outcomes, strict=True):
                    if isinstance(outcome, Exception):
                        if not done.cancelled():
                            done.set_exception(outcome)
                        continue
                    committed(outcome)
                    if not done.cancelled():
                        done.set_result(outcome)
        finally:
            self._committer = None

    async def _committed(self, works: Sequence[Work]) -> list[object]:
        if self._writer is None:
            raise StoreError("store_closed")
        # aiosqlite has no public way to run a function of several statements.
        outcomes: list[object] = await self._writer._execute(  # type: ignore[no-untyped-call]
            _commit_together, self._writer._conn, works
        )
        self._interrupted = False
        return outcomes

    async def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Committed rows of a query.

        Raises:
            StoreError: if SQLite fails.
        """
        if self._reader is None:
            raise StoreError("store_closed")
        with _as_store_error(self.path):
            return list(await self._reader.execute_fetchall(sql, values))

    async def row(self, sql: str, values: Values = ()) -> Row | None:
        """First row of a query."""
        return next(iter(await self.rows(sql, values)), None)

    async def rows_apart(self, sql: str, values: Values = ()) -> list[Row]:
        """As `rows`, by a connection of its own, so that a query that takes long delays no other.

        Raises:
            StoreError: if SQLite fails.
        """
        if self._reader is None:
            raise StoreError("store_closed")
        with _as_store_error(self.path):
            async with self._opening:
                if self._apart is None:
                    self._apart = await _connect(self.path)
                    await self._apart.execute("PRAGMA query_only = ON")
                apart = self._apart
            return list(await apart.execute_fetchall(sql, values))

    async def backup(self, target: Path) -> None:
        """Copy the current database to a file, while it is in use; the file appears when it is complete.

        Only the user of this process can read it: it holds private prompts.

        Raises:
            StoreError: if the target cannot be written.
        """
        if self._reader is None:
            raise StoreError("store_closed")
        beside = target.with_name(f".{target.name}.part")
        try:
            with _as_store_error(target):
                beside.unlink(missing_ok=True)
                beside.touch(mode=0o600, exist_ok=False)
                copy = await _opened(beside)
                try:
                    await self._reader.backup(copy)
                finally:
                    await copy.close()
                beside.replace(target)
        except OSError as exc:
            raise StoreError("store_unwritable", file=str(target)) from exc
        finally:
            beside.unlink(missing_ok=True)

    async def _lock_out(self) -> None:
        """Lock an empty database beside ours: the one lock that every system has and releases at exit."""
        self._sole = await _opened(self.path.with_suffix(".lock"), timeout_s=0)
        try:
            await self._sole.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise StoreError("store_in_use", file=str(self.path)) from exc

    async def _check(self) -> None:
        """Refuse a damaged or foreign file, before anything is changed."""
        application = await self._pragma("application_id")
        tables = await self._first("SELECT count(*) FROM sqlite_schema")
        if application != APPLICATION_ID and tables:
            raise StoreError("store_foreign", file=str(self.path))
        findings = await self._first("PRAGMA integrity_check(1)")
        broken = await self._first("SELECT count(*) FROM pragma_foreign_key_check")
        if findings != "ok" or broken:
            raise StoreError("store_damaged", file=str(self.path))

    async def _migrate(self) -> None:
        """Run the migrations that this file lacks, each in one transaction."""
        version = await self._version()
        for number, script in enumerate(migrations()[version:], start=version + 1):
            async with self.transaction() as db:
                for statement in statements(script):
                    await db.execute(statement)
                await db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                await db.execute(f"PRAGMA user_version = {number}")

    async def _version(self) -> int:
        version, known = await self._pragma("user_version"), len(migrations())
        if version > known:
            raise StoreError("store_newer", file=str(self.path), version=version, known=known)
        return version

    async def _pragma(self, name: str) -> int:
        return int(str(await self._first(f"PRAGMA {name}")))

    async def _first(self, sql: str) -> object:
        if self._writer is None:
            raise StoreError("store_closed")
        found = list(await self._writer.execute_fetchall(sql))
        return found[0][0]


class _HalfDoneError(Exception):
    """A function raised after it had changed something."""


def _commit_together(connection: sqlite3.Connection, works: Sequence[Work]) -> list[object]:
    """Run functions in one transaction; one that raises is undone alone, and its exception is its outcome.

    They may run twice: each statement waits for the interpreter's lock, so none sets a savepoint until one is needed.
    A transaction that was interrupted is rolled back before. The connection's thread.
    """
    if connection.in_transaction:
        connection.rollback()
    try:
        try:
            outcomes = _run_together(connection, works, apart=False)
        except _HalfDoneError:
            connection.rollback()
            outcomes = _run_together(connection, works, apart=True)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return outcomes


def _run_together(connection: sqlite3.Connection, works: Sequence[Work], *, apart: bool) -> list[object]:
    """Begin a transaction and run functions in it, each in a savepoint if `apart`.

    Raises:
        _HalfDoneError: if one fails that cannot be undone alone.
    """
    connection.execute("BEGIN IMMEDIATE")
    outcomes = list[object]()
    for work in works:
        if apart:
            connection.execute("SAVEPOINT work")
        changes = connection.total_changes
        try:
            outcomes.append(work(connection))
        except Exception as exc:
            if not connection.in_transaction:  # SQLite undid all of it, as on a full disk.
                raise
            if apart:
                connection.execute("ROLLBACK TO work")
            elif connection.total_changes != changes:
                raise _HalfDoneError from exc
            outcomes.append(exc)
        if apart:
            connection.execute("RELEASE work")
    return outcomes


def migrations() -> list[str]:
    """Migration scripts in order; number n brings the database from version n - 1 to n."""
    files = sorted(
        item.name for item in resources.files("bot.store.migrations").iterdir() if item.name.endswith(".sql")
    )
    if [name[:5] for name in files] != [f"{number:04}_" for number in range(1, len(files) + 1)]:
        raise StoreError("store_migrations")
    return [resources.files("bot.store.migrations").joinpath(name).read_text("utf-8") for name in files]


def statements(script: str) -> Iterator[str]:
    """Statements of a script, one by one; `executescript` would commit between them."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if re.sub(r"--.*", "", gathered).strip():
        raise StoreError("store_migrations")


async def _opened(place: Path | str, timeout_s: float = BUSY_TIMEOUT_MS / 1_000) -> aiosqlite.Connection:
    """Open a file, or the URI of one as SQLite defines it."""
    connection = aiosqlite.connect(place, isolation_level=None, timeout=timeout_s, uri=isinstance(place, str))
    try:
        return await connection
    except BaseException:
        # aiosqlite does not wait for the thread of a connection that failed; it would outlive the event loop.
        await asyncio.to_thread(connection._thread.join)
        raise


async def _connect(path: Path) -> aiosqlite.Connection:
    connection = await _opened(path)
    try:
        connection.row_factory = sqlite3.Row
        await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        # With FULL an acknowledged job also survives a power cut, at the price of one fsync a transaction.
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        await connection.close()
        raise
    return connection


@contextmanager
def _as_store_error(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as exc:  # For a damaged file, SQLite's own message is damaged too.
        raise StoreError("store_damaged", file=str(path)) from exc
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED_CODES:
            raise StoreError("store_damaged", file=str(path)) from exc
        if code == sqlite3.SQLITE_FULL:
            raise StoreError("store_full", file=str(path)) from exc
        if code == sqlite3.SQLITE_IOERR:
            # A quota, a removed disk, a failing disk: SQLite does not distinguish them.
            raise StoreError("store_io", file=str(path), why=getattr(exc, "sqlite_errorname", "?")) from exc
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreError("store_locked", file=str(path)) from exc
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise StoreError("store_unwritable", file=str(path)) from exc
        raise StoreError("store_failed", file=str(path), why=str(exc)) from exc
