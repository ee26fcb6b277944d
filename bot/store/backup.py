"""Backup while the bot runs: the database alone, or the whole data folder. Event loop; files on a thread.

To restore, unpack the archive into an empty data folder, or replace the database by the copy.
"""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

from bot.errors import BotError
from bot.files import DataFolder, as_files_error
from bot.store import Store


async def back_up(files: DataFolder, target: Path, *, pictures: bool) -> None:
    """Copy the database to a file; with `pictures`, write a zip archive of the whole data folder.

    The file appears once it is complete. The database is copied first: all files that it names are on the disk by then.

    Raises:
        BotError: if there is no database, or its folder cannot be used.
        StoreError: if the database cannot be read or copied.
        FilesError: if the archive cannot be written.
    """
    if not await asyncio.to_thread(files.has_database):
        raise BotError("backup_nothing", file=str(files.database))
    database = target.with_name(f".{target.name}.db") if pictures else target
    store = Store(files.database)
    await store.open(sole=False)
    try:
        await store.backup(database)
    finally:
        await store.close()
    if pictures:
        try:
            await asyncio.to_thread(_archive, files, database, target)
        finally:
            await asyncio.to_thread(database.unlink, missing_ok=True)


def _archive(files: DataFolder, database: Path, target: Path) -> None:
    """Write the archive. Runs on a thread."""
    beside = target.with_name(f".{target.name}.part")
    try:
        with as_files_error(target):
            beside.unlink(missing_ok=True)
            beside.touch(mode=0o600, exist_ok=False)  # It contains private pictures.
            # Pictures and tensors are already compressed.
            with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
                archive.write(database, files.database.name)
                for path in files.kept():
                    try:
                        archive.write(path, path.relative_to(files.root))
                    except FileNotFoundError:
                        continue  # Deleted meanwhile.
            beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
