"""The real bot as a separate process, connected to the fake: start, kill, stop, read its log. Event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.discord_fake import warm
from tests.discord_fake.server import TOKEN, FakeDiscord

ROOT = Path(__file__).parent.parent.parent
START_S = 240.0
"""Time limit of a start: torch and the models are loaded, on a machine that may be busy."""
STOP_S = 90.0
WARM = ("tests.discord_fake.launch_quick", "tests.faults.launch_hindered")
"""Modules that can be forked from a process with the bot's imports: they change nothing that must come before them."""
LINE_BYTES = 2**24
"""Longest line of the log: discord.py writes all commands into one, nearly as long as asyncio's own limit of 64 KiB."""


class BotProcess:
    """`python -m bot` on its own data folder, the same one after each restart.

    Attributes:
        lines: its standard error, over all starts.
        folder: its data.
    """

    def __init__(
        self,
        fake: FakeDiscord,
        folder: Path,
        config: str = "",
        module: str = "tests.discord_fake.launch",
        *,
        code: Path = ROOT,
        fresh: bool = False,
    ) -> None:
        """`config` is the text of its config.yaml; `module` is run instead of `bot`, from the source tree `code`.

        Unless `fresh`, a module of WARM is forked where possible, instead of run by a Python of its own.
        """
        self.fake, self.folder, self._module, self._code = fake, folder / "data", module, code
        self._warm = module in WARM and code == ROOT and not fresh and warm.is_possible()
        self.lines: list[str] = []
        self._config, self._gate = folder / "config.yaml", folder / "gate"
        self._config.write_text(config, "utf-8")
        self._process: asyncio.subprocess.Process | warm.WarmProcess | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, **environment: str) -> None:
        """Start it, and wait until it is connected.

        Raises:
            AssertionError: if it ends, or does not connect in time; the log is in the message.
        """
        await self.spawn(**environment)
        await self.connected()

    async def spawn(self, **environment: str) -> None:
        """Start it without waiting."""
        given = {"FAKE_DISCORD": self.fake.url, "DISCORD_TOKEN": TOKEN, "REVERIE_DATA": str(self.folder)}
        # The fake speaks plain HTTP; to read the machine's certificates takes a tenth of a start.
        given |= {"FAKE_GATE": str(self._gate), "SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
        self.fake.gateway.forget()
        whole, arguments = os.environ | given | environment, ["--config", str(self._config)]
        in_step = float(environment.get("FAKE_RATE", "1")) == 1.0  # Classes keep the clock of when they are imported.
        if self._warm and in_step:
            self._process = await warm.start(self._module, arguments, whole, LINE_BYTES)
        else:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, *arguments,
                cwd=self._code, env=whole, stderr=asyncio.subprocess.PIPE, limit=LINE_BYTES,
            )  # fmt: skip
        self._reader = asyncio.create_task(self._read(self._process))

    async def connected(self) -> None:
        """Wait until it is connected.

        Raises:
            AssertionError: if it ends, or does not connect in time; the log is in the message.
        """
        assert self._reader is not None
        ready = asyncio.create_task(self.fake.gateway.ready.wait())
        await asyncio.wait({ready, self._reader}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        assert self.fake.gateway.ready.is_set(), "the bot did not start:\n" + "".join(self.lines[-40:])

    async def kill(self) -> None:
        """Kill it, like a power cut."""
        await self._end(signal.SIGKILL)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and wait for its end; return its exit status."""
        return await self._end(number)

    def hold(self) -> None:
        """Let steps from number `FAKE_HELD` on wait, if that was given at the start."""
        self._gate.unlink(missing_ok=True)

    def go_on(self) -> None:
        """Let steps that wait go on."""
        self._gate.touch()

    async def stop_held(self, number: signal.Signals = signal.SIGTERM) -> int:
        """As `stop`; steps that wait go on once the pause is with their workers."""
        before = self.log.count("draining")
        stopping = asyncio.create_task(self.stop(number))
        await self.fake.until(lambda: self.log.count("draining") > before)
        self.go_on()
        return await stopping

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        assert self._process is not None and self._reader is not None
        async with asyncio.timeout(STOP_S):
            status = await self._process.wait()
            await self._reader
        return status

    async def close(self) -> None:
        """End it if it still runs."""
        if self.alive:
            await self.kill()

    @property
    def pid(self) -> int:
        """The id of the process started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """Its whole output."""
        return "".join(self.lines)

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return await self.ended()

    async def _read(self, process: asyncio.subprocess.Process | warm.WarmProcess) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.lines.append(line.decode(errors="replace"))
