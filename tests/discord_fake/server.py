"""The fake Discord itself: a server on loopback, its record of all calls, and simulated people. Event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

from tests.discord_fake.calls import PREFIX, Call, begin_call, json_answer, read_body
from tests.discord_fake.description import description
from tests.discord_fake.faults import Cut, Fault, Faults, sever
from tests.discord_fake.gateway import Gateway
from tests.discord_fake.interactions import Interaction, Interactions, Kind, Upload
from tests.discord_fake.limits import Buckets
from tests.discord_fake.rest import Handler, Rest, refuse, respond
from tests.discord_fake.world import Channel, Member, Message, Payload, World
from tests.discord_fake.writing import UNAUTHORISED, Refusal

TOKEN = "ZmFrZQ.fake.token-of-the-fake-discord"  # noqa: S105 - of a fake Discord
BODY_BYTES = 64 * 2**20
OPEN_TO_ALL = ("/interactions/", "/webhooks/")
"""Paths that an interaction's token opens without the bot's."""
TIMEOUT_S = 120.0


class FakeDiscord:
    """Discord's HTTP interface and gateway on a free port of this machine; `async with` starts and stops it.

    Attributes:
        world: servers, channels, people, messages.
        faults: faults on demand.
        gateway: the connections; `drop`, `ask_to_reconnect`, `invalidate`.
        calls: every call, in order.
        rest: handlers of the calls.
        desk: all interactions.
    """

    def __init__(self, *, heartbeat_s: float = 40.0, rate_limits: bool = False, host: str = "127.0.0.1") -> None:
        """`rate_limits`: enforce Discord's limits, beside those that a test scripts. `host`: its host name."""
        self._host = host
        self.world, self.faults, self.calls = World(), Faults(), list[Call]()
        self.interactions = Interactions(self.world)
        self.rest = Rest(self.world, self.interactions, lambda: self.url, lambda: self.gateway_url)
        self.gateway = Gateway(self.world, TOKEN, lambda: self.gateway_url, heartbeat_s)
        self.buckets = Buckets() if rate_limits else None
        self.faulty: list[str] = []
        """Calls unknown to the fake, or that raised an error in it."""
        self.slow_files_s = 0.0
        """Delay of downloads of attached files; below 0 they are gone."""
        self.files_open = asyncio.Event()
        """Downloads of attached files wait while it is clear."""
        self.files_open.set()
        self._checked = 0
        self._runner: web.AppRunner | None = None
        self._port = 0

    # Start and stop

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=BODY_BYTES)
        for method, path, handler in self.rest.routes:
            app.router.add_route(method, PREFIX + path, self._handling(handler))
        app.router.add_get("/gateway", self.gateway.connect)
        app.router.add_get("/gateway/", self.gateway.connect)
        app.router.add_get("/attachments/{channel}/{id}/{name}", self._file)
        app.router.add_route("*", "/{anything:.*}", self._handling(_unknown))
        # A call whose connection is cut before it took effect has none.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def cut_all(self) -> None:
        """Cut every connection, the gateway's too, like a network failure."""
        server = None if self._runner is None else self._runner.server
        for connection in [] if server is None else server.connections:
            if (transport := connection.transport) is not None:
                transport.abort()

    @property
    def url(self) -> str:
        """Its address: `http://127.0.0.1:PORT`."""
        return f"http://{self._host}:{self._port}"

    @property
    def gateway_url(self) -> str:
        """Its gateway's address."""
        return f"ws://{self._host}:{self._port}/gateway/"

    # Actions of people

    async def type_command(
        self, channel: Channel, member: Member, name: str, /, *, age_s: float = 0.0, **options: Any  # noqa: ANN401
    ) -> Interaction:  # fmt: skip
        """Type a slash command (`"host status"` for one within a group); files are given as `Upload`.

        With `age_s` the interaction says that it began so long ago. Await `answered()` of the result.
        """
        data = self.interactions.command_data(channel.guild.id, name, options, self.url)
        return await self._begin(self.interactions.begin(Kind.COMMAND, member, channel, age_s), data)

    async def type_imagine(
        self, channel: Channel, member: Member, prompt: str = "a red apple", **options: Any  # noqa: ANN401
    ) -> Interaction:  # fmt: skip
        """Type /imagine and wait for the answer."""
        return await (await self.type_command(channel, member, "imagine", prompt=prompt, **options)).answered()

    async def choose_menu(self, message: Message, member: Member, name: str) -> Interaction:
        """Choose an entry from the menu of a message, and wait for the answer."""
        command = self.interactions.command(message.channel.guild.id, name)
        shown = {str(message.id): message.payload(self.url, self.world.bot)}
        data = {
            "id": command["id"],
            "name": name,
            "type": 3,
            "target_id": str(message.id),
            "resolved": {"messages": shown},
        }
        begun = self.interactions.begin(Kind.COMMAND, member, message.channel)
        return await (await self._begin(begun, data)).answered()

    async def complete(self, channel: Channel, member: Member, name: str, option: str, typed: str) -> Interaction:
        """Begin to type an option with autocompletion."""
        data = self.interactions.command_data(channel.guild.id, name, {option: typed}, self.url, focus=option)
        return await self._begin(self.interactions.begin(Kind.AUTOCOMPLETE, member, channel), data)

    async def click(self, message: Message, custom_id: str, member: Member) -> Interaction:
        """Press the button below a message with a custom id that begins like that, and wait for the answer.

        Raises:
            AssertionError: if there is none.
        """
        return await (await self.press(message, custom_id, member)).answered()

    async def click_more(self, message: Message, custom_id: str, member: Member) -> Interaction:
        """Press a button behind *More* below a message, and wait for the answer."""
        more = await self.click(message, "reverie:more", member)
        assert more.message is not None, more.text
        return await self.click(more.message, custom_id, member)

    async def press(self, message: Message, custom_id: str, member: Member) -> Interaction:
        """As `click`, without waiting."""
        found = next((item for item in message.custom_ids() if item.startswith(custom_id)), None)
        assert found is not None, f"no button {custom_id} among {message.custom_ids()}"
        interaction = self.interactions.begin(Kind.COMPONENT, member, message.channel)
        interaction.message = message
        return await self._begin(interaction, {"component_type": 2, "custom_id": found})

    async def fill_in(
        self, form: Interaction, *, answer_s: float = TIMEOUT_S, **given: str | list[str] | list[Upload]
    ) -> Interaction:
        """Send the form of the bot's answer, and wait for the answer; a list is a selection in a menu, or files.

        Values fill the fields in their order, by whatever names; fields without one stay empty.
        """
        data = (form.callback or {})["data"]
        inputs = [item for row in data["components"] for item in row.get("components") or [row["component"]]]
        values = [*given.values(), *[[]] * len(inputs)]
        rows, resolved = list[Payload](), Payload()
        for item, value in zip(inputs, values, strict=False):
            rows.append(self.interactions.filled(item, value, resolved, self.url))
        sent = self.interactions.begin(Kind.MODAL, form.member, form.channel)
        sent.message = form.message
        filled = {"custom_id": data["custom_id"], "components": rows} | ({"resolved": resolved} if resolved else {})
        return await (await self._begin(sent, filled)).answered(answer_s)

    def expire_tokens(self) -> None:
        """Make all interactions so far older than 15 minutes."""
        for interaction in self.interactions.all.values():
            interaction.dead = True

    async def _begin(self, interaction: Interaction, data: Payload) -> Interaction:
        payload = self.interactions.payload(interaction, data, self.url)
        await self.gateway.dispatch("INTERACTION_CREATE", payload, interaction.channel.guild.id)
        return interaction

    # Received calls

    def sent(self, method: str, part: str = "") -> list[Call]:
        """List all calls of a method with a path that contains this part, in order."""
        return [call for call in self.calls if call.is_to(method, part)]

    def problems(self) -> list[str]:
        """List violations of Discord's description in all calls; each call is checked once."""
        new, self._checked = self.calls[self._checked :], len(self.calls)
        self.faulty += [problem for call in new if call.status > 0 for problem in description().problems(call)]
        return self.faulty

    async def until(self, fulfilled: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: if that takes too long.
        """
        end = time.monotonic() + timeout_s
        while not fulfilled():
            assert time.monotonic() < end, f"it did not come to pass within {timeout_s} s"
            await asyncio.sleep(0.01)

    # Serving

    def _handling(self, handler: Handler) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = begin_call(request, TOKEN)
            self.calls.append(call)
            response = await self._answer(request, call, handler)
            if response is None:
                call.status = -1
                sever(request)
                return web.Response(status=500)
            call.status = response.status
            return response

        return handle

    async def _answer(self, request: web.Request, call: Call, handler: Handler) -> web.Response | None:
        """Return the answer; None if the connection is to be cut."""
        fault = self.faults.taking(call)
        if fault is not None and fault.cut is Cut.BEFORE:
            return None
        if fault is not None and fault.cut is Cut.DURING:
            await request.content.readany()
            return None
        try:
            await read_body(call, request)
        except (ConnectionError, asyncio.CancelledError):
            return None
        limited, headers = self._limited(call)
        if limited is not None:
            return limited
        response = await self._outcome(request, call, handler, fault)
        response.headers.update(headers)
        return None if fault is not None and fault.cut is Cut.AFTER else response

    async def _outcome(self, request: web.Request, call: Call, handler: Handler, fault: Fault | None) -> web.Response:
        if fault is not None and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault is not None and fault.gate is not None:
            await fault.gate.wait()
        if fault is not None and fault.status:
            return fault.answer()
        if not call.authorised and not call.path.startswith(OPEN_TO_ALL):
            return refuse(Refusal(UNAUTHORISED))
        try:
            return respond(await handler(call, dict(request.match_info)))
        except Refusal as refusal:
            return refuse(refusal)
        except Exception as exc:  # An unexpected call of the bot must fail the test.
            self.faulty.append(f"{call.method} {call.path} broke the fake: {exc!r}")
            return json_answer({"code": 0, "message": repr(exc)}, status=500)

    def _limited(self, call: Call) -> tuple[web.Response | None, dict[str, str]]:
        if self.buckets is None:
            return None, {}
        headers, refusal = self.buckets.take(call)
        return refusal, headers

    async def _file(self, request: web.Request) -> web.Response:
        wanted = int(request.match_info["id"])
        file = self.interactions.uploads.get(wanted)
        if file is None:
            files = [item for message in self.world.messages() for item in message.attachments]
            file = next((item for item in files if item.id == wanted), None)
        if file is None or self.slow_files_s < 0:
            raise web.HTTPNotFound
        await asyncio.sleep(self.slow_files_s)
        await self.files_open.wait()
        return web.Response(body=file.data, content_type=file.content_type or "application/octet-stream")


async def _unknown(call: Call, at: dict[str, str]) -> None:
    raise LookupError("no such call")
