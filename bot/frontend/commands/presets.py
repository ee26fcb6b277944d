"""/preset: options under a name, of one's own and of the server; and a menu that keeps a picture's. Event loop."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import check_place, requester_of
from bot.frontend.commands.imagine import CHOICE_CHARACTERS, MAX_CHOICES, PROMPT_CHARACTERS, complete_prompt
from bot.frontend.components.batches import submit_all
from bot.frontend.components.presets import NAME, OPTIONS, keep, menu_of, saved_text, shared_buttons
from bot.frontend.message_pictures import job_of
from bot.frontend.messages.content import DESCRIPTION
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.options import suggestions
from bot.service import JobSpec
from bot.texts import say

preset = app_commands.Group(name="preset", description=described("command_preset"), guild_only=True)


async def complete_name(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Presets of the person and the server whose name or options contain the typed text."""
    known = await interaction.client.service.presets.known(interaction.guild_id or 0, interaction.user.id)
    wanted = typed.strip().casefold()
    hits = [each for each in known if wanted in each.name.casefold() or wanted in each.options.casefold()]
    return [
        app_commands.Choice(name=f"{each.name}: {each.options}"[:CHOICE_CHARACTERS], value=each.name)
        for each in hits[:MAX_CHOICES]
    ]


async def complete_options(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The options as they are, then with one more at their end."""
    styles = await interaction.client.service.words.styles(interaction.guild_id or 0)
    begun = typed if typed.split()[-1:] and typed.split()[-1].startswith("--") else f"{typed.strip()} --"
    found = [typed.strip(), *suggestions(typed, [style.name for style in styles]), *suggestions(begun, [])]
    fitting = [text.strip() for text in found if 0 < len(text.strip()) <= CHOICE_CHARACTERS]
    return [app_commands.Choice(name=text, value=text) for text in list(dict.fromkeys(fitting))[:MAX_CHOICES]]


@preset.command(name="save", description=described("command_preset_save"))
@app_commands.describe(
    name=described("option_preset_name"),
    options=described("option_preset_options"),
    server=described("option_preset_server"),
)
@app_commands.autocomplete(options=complete_options)
async def save(
    interaction: Interaction,
    name: app_commands.Range[str, 1, 32],
    options: app_commands.Range[str, 1, 1_000],
    server: bool = False,
) -> None:
    """Save options under a name."""
    requester = requester_of(interaction)
    saved = await interaction.client.service.presets.save(requester, name, options, server=server)
    await reply(interaction, saved_text(saved, requester.locale))


@preset.command(name="use", description=described("command_preset_use"))
@app_commands.describe(name=described("option_preset_known"), prompt=described("option_prompt"))
@app_commands.autocomplete(name=complete_name, prompt=complete_prompt)
async def use(
    interaction: Interaction,
    name: app_commands.Range[str, 1, 100],
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS],
) -> None:
    """Submit a job with the options of a preset."""
    await submit_all(interaction, JobSpec(prompt=prompt, preset=name))


@preset.command(name="list", description=described("command_preset_list"))
async def show(interaction: Interaction) -> None:
    """Show the presets of the person and the server, with a menu to use one."""
    requester = requester_of(interaction)
    known = await interaction.client.service.presets.known(requester.guild_id, requester.user_id)
    locale = requester.locale
    lines = [
        say(
            "preset_line" if each.own else "preset_line_server",
            locale,
            name=as_typed(each.name, NAME),
            options=as_typed(each.options, OPTIONS),
        )
        for each in known
    ]
    text = within(lines, DESCRIPTION) or say("presets_none", locale)
    embed = discord.Embed(title=say("presets_title", locale), description=text)
    await reply(interaction, embed=embed, buttons=menu_of(known, locale) if known else None)


@preset.command(name="delete", description=described("command_preset_delete"))
@app_commands.describe(name=described("option_preset_known"))
@app_commands.autocomplete(name=complete_name)
async def delete(interaction: Interaction, name: app_commands.Range[str, 1, 100]) -> None:
    """Delete a preset of one's own, or one of the server."""
    requester = requester_of(interaction)
    deleted = await interaction.client.service.presets.delete(requester, name)
    await reply(interaction, say("preset_deleted", requester.locale, name=as_typed(deleted.name, NAME)))


@preset.command(name="share", description=described("command_preset_share"))
@app_commands.describe(name=described("option_preset_known"))
@app_commands.autocomplete(name=complete_name)
async def share(interaction: Interaction, name: app_commands.Range[str, 1, 100]) -> None:
    """Show a preset to everybody in the channel, with buttons to use and to keep it."""
    requester, service = requester_of(interaction), interaction.client.service
    check_place(interaction)
    shared = await service.presets.shareable(requester, name)
    text = say(
        "preset_shared",
        requester.locale,
        user=f"<@{requester.user_id}>",
        name=as_typed(shared.name, NAME),
        options=as_typed(shared.options, OPTIONS),
    )
    await interaction.response.send_message(text, view=shared_buttons(shared, requester.user_id, requester.locale))


@app_commands.context_menu(name=described("menu_preset"))
@app_commands.guild_only()
async def keep_settings(interaction: Interaction, message: discord.Message) -> None:
    """Keep the settings of a message's picture as a preset."""
    job = await job_of(interaction, message)
    if job is None:
        raise NotFound("no_job_in_message")
    await keep(interaction, job.id, 1)
