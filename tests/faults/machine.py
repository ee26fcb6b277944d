"""A bot in a separate process, one server, Ann, and the facts that show whether anything was lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.files import DataFolder, Kind
from tests.discord_fake import BotProcess, Channel, FakeDiscord, Interaction, Member, Message
from tests.faults.ledger import shown_pictures
from tests.faults.small_disk import ME, SmallDisk, ask

QUICK = "tests.discord_fake.launch_quick"
CONFIG = """
timing: {preview_s: 0.2, snapshot_s: 0.1, access_s: 1.0}
discord: {edit_interval_s: 1.0}
limits: {queue_user: 50}
log: {level: debug}
"""


class Machine:
    """The process, and its data for the test.

    Attributes:
        data: the data folder, from where the test can see it.
    """

    def __init__(
        self,
        fake: FakeDiscord,
        folder: Path,
        module: str = QUICK,
        *,
        config: str = CONFIG,
        disk: SmallDisk | None = None,
        rate: float = 1.0,
    ) -> None:
        """`disk` is the disk mounted at the data folder, if any; the bot waits `rate` times less."""
        self.fake, self.disk, self._module, self._rate = fake, disk, module, rate
        guild = fake.world.add_guild()
        self.channel: Channel = guild.add_channel()
        self.ann: Member = guild.add_member("ann")
        self.bot = BotProcess(fake, folder, config, module if disk is None else ME)
        self.data = self.bot.folder if disk is None else disk.inside

    async def start(self, **environment: str) -> None:
        """Start the bot and wait until it is connected."""
        environment |= {"FAKE_RATE": str(self._rate)}
        await self.bot.start(**environment | ({} if self.disk is None else self.disk.runs(self._module)))

    async def imagine(self, prompt: str = "a red apple", **options: object) -> Interaction:
        """Type /imagine as Ann; return the interaction once its answer has text."""
        answer = await self.fake.type_imagine(self.channel, self.ann, prompt, **options)
        await self.fake.until(lambda: shown(answer), 60)
        return answer

    def row(self, job_id: int) -> Mapping[str, object] | None:
        """A job as it is in the database."""
        return next(iter(self.rows("SELECT * FROM jobs WHERE id = ?", job_id)), None)

    def rows(self, sql: str, *values: object) -> list[Mapping[str, object]]:
        """Rows of a query."""
        if self.disk is not None:
            return self.disk.rows("reverie.db", sql, *values)
        return ask(self.data / "reverie.db", sql, values)

    def state(self, job_id: int) -> str:
        """Return the state of a job; empty if the job does not exist."""
        row = self.row(job_id)
        return "" if row is None else str(row["state"])

    async def done(self, job_id: int, *, count: int = 1, timeout_s: float = 90) -> Message:
        """The only message with a job's `count` pictures; checks all of them against the saved files and the row."""
        await self.fake.until(lambda: self.state(job_id) in ("done", "failed", "cancelled"), timeout_s)
        row = self.row(job_id)
        assert row is not None and row["state"] == "done", (row, self.bot.log[-4_000:])
        found = [item for item in self.channel.posts() if shown_pictures(item, job_id)]
        assert len(found) == 1, f"{len(found)} messages show the pictures of job {job_id}"
        files, numbers = DataFolder(self.data), range(1, count + 1)
        wanted = [(number, files.read(Kind.PICTURE, job_id, number)) for number in numbers]
        assert shown_pictures(found[0], job_id) == wanted
        assert len(found[0].attachments) == count
        return found[0]

    def leftovers(self) -> list[str]:
        """Files that no job needs: partial ones, and snapshots of finished pictures."""
        return sorted(
            path.name for pattern in (".*.part", "*-?.safetensors") for path in self.data.rglob(pattern)
            if path.name[0] == "." or path.parent.parent.name == "snapshots"
        )  # fmt: skip


def shown(answer: Interaction) -> str:
    """Text of an answer as a person sees it now; empty while the bot is thinking."""
    message = answer.message
    words = [item.said() for item in answer.followups] + ([message.said()] if message is not None else [])
    return next((text for text in words if text), answer.text.strip())
