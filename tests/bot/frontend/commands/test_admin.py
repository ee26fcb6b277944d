"""Decisions of admins and the host, and their refusal to everybody else."""

from __future__ import annotations

import pytest

from bot.config import Config, Discord
from bot.frontend.messages.component_tree import walk
from bot.jobs import JobState
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of, said

ADMIN_COMMANDS: list[tuple[str, dict[str, object]]] = [
    ("limits show", {}),
    ("limits set", {"name": "steps", "value": 10}),
    ("limits set", {"name": "steps"}),
    ("limits reset", {"name": "steps"}),
    ("channels list", {}),
    ("channels reset", {}),
    ("pause", {}),
    ("resume", {}),
    ("clear", {}),
    ("safety show", {}),
    ("safety set", {"mode": "off"}),
    ("stats", {}),
    ("retention", {"days": 3}),
    ("retention", {}),
    ("reports", {}),
    ("server", {}),
    ("people list", {}),
    ("blocklist list", {}),
    ("blocklist add", {"rule": "apple"}),
    ("blocklist remove", {"rule": "apple"}),
    ("blocklist test", {"text": "apple"}),
]


@pytest.mark.parametrize(("name", "options"), ADMIN_COMMANDS)
async def test_admin_commands_check_for_themselves_who_asks(
    stage: ClientInSimcord, name: str, options: dict[str, object]
) -> None:
    if name == "channels reset":
        options = {"channel": stage.channel}
    assert name not in stage.ann.available_commands(stage.channel)
    await stage.open_command(name, stage.ann)
    refused = await stage.ann.slash(stage.channel, name, **options)
    assert reply_of(refused).content == "Only someone who manages the server can do this."


async def test_limits_are_set_for_the_server_and_for_a_role(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "limits set", name="steps", value=10)
    refused = await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", steps=11)
    assert "at most 10 steps" in reply_of(refused).content
    patrons = stage.guild.create_role("patrons")
    changed = await stage.admin.slash(stage.channel, "limits set", name="steps", value=50, role=patrons)
    assert reply_of(changed).content == f"`steps` is now **50** for people with <@&{patrons.id}>."
    shown = reply_of(await stage.admin.slash(stage.channel, "limits show", role=patrons))
    assert shown.embeds[0].title == r"Limits of \@patrons"
    assert "`steps` **50**" in (shown.embeds[0].description or "")
    assert f"<@&{patrons.id}>: `steps` **50**" in (shown.embeds[0].description or "")
    over = await stage.admin.slash(stage.channel, "limits set", name="steps", value=2_001)
    assert "allows at most 2000 for steps" in reply_of(over).content
    await stage.admin.slash(stage.channel, "limits reset", name="steps")
    shown = reply_of(await stage.admin.slash(stage.channel, "limits show"))
    assert "`steps` **600** · maximum steps" in (shown.embeds[0].description or "")


async def test_a_limit_without_a_value_says_which_ones_are_allowed_and_stays(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "limits set", name="steps", value=10)
    asked = reply_of(await stage.admin.slash(stage.channel, "limits set", name="steps")).content
    assert "`steps` can be from 1 to 2000; it is now **10**. The default is 600" in asked
    shown = reply_of(await stage.admin.slash(stage.channel, "limits show")).embeds[0].description or ""
    assert "`steps` **10** (default 600) · maximum steps of a picture · the host allows at most 2000" in shown
    assert "`daily` **200** · pictures per person and day; 0 means no limit\n" in shown


async def test_denied_channels_refuse_and_allowed_ones_are_named(stage: ClientInSimcord) -> None:
    other = stage.guild.create_text_channel("other")
    closed = reply_of(await stage.admin.slash(stage.channel, "channels deny", channel=other)).content
    assert closed.startswith(f"<#{other.id}> is closed now") and f"every channel except <#{other.id}>" in closed
    refused = await stage.ann.slash(other, "imagine", prompt="a red apple")
    assert reply_of(refused).content == "Pictures cannot be requested in this channel."
    allowed = reply_of(await stage.admin.slash(stage.channel, "channels allow", channel=stage.channel)).content
    assert f"requested only in <#{stage.channel.id}>. Closed, even" in allowed
    await stage.admin.slash(stage.channel, "channels reset", channel=other)
    refused = await stage.ann.slash(other, "imagine", prompt="a red apple")
    assert f"Use <#{stage.channel.id}>" in reply_of(refused).content


async def test_a_paused_queue_keeps_what_is_asked_for(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "pause")
    answer = await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    assert answer.response is not None and "queue is paused" in said(answer.response)
    await stage.admin.slash(stage.channel, "resume")
    await stage.ended(1)


async def test_clear_cancels_what_waits(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "pause")
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    await stage.bob.slash(stage.channel, "imagine", prompt="a green pear")
    asked = reply_of(await stage.admin.slash(stage.channel, "clear", person=stage.ann))
    assert "One waiting job will be cancelled" in asked.content and f"<@{stage.ann.id}> 1" in asked.content
    await stage.restart()
    modal = await stage.admin.click(asked, label="Cancel one job")
    await stage.admin.submit_modal(modal, {"reason": "**too** many apples"})
    await stage.ended(1, JobState.CANCELLED)
    message = next(item for item in stage.channel.history() if f"<@{stage.ann.id}>" in said(item))
    assert "cleared the queue. Reason: \\*\\*too\\*\\* many apples" in said(message)
    assert (await stage.job(2)).state is JobState.QUEUED
    nothing = await stage.admin.slash(stage.channel, "clear", person=stage.ann)
    assert reply_of(nothing).content == "No jobs are waiting."


async def test_clear_asked_by_an_admin_is_not_answered_by_somebody_else(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "pause")
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    asked = reply_of(await stage.admin.slash(stage.channel, "clear"))
    stage.demote_admin()
    refused = await stage.admin.click(asked, label="Cancel one job")
    assert reply_of(refused).content == "Only someone who manages the server can do this."
    assert (await stage.job()).state is JobState.QUEUED


async def test_a_flagged_picture_is_hidden_or_refused_as_the_server_wants(stage: ClientInSimcord) -> None:
    stage.engine.unsafe = True
    message = await stage.finished_job()
    assert [
        item.spoiler for item in walk(message.components) if hasattr(item, "spoiler") and hasattr(item, "media")
    ] == [True]
    reply = reply_of(await stage.admin.slash(stage.channel, "safety set", mode="refuse", report_channel=stage.channel))
    assert "discarded" in reply.content and f"<#{stage.channel.id}>" in reply.content
    await stage.ann.slash(stage.channel, "imagine", prompt="another")
    await stage.ended(2, JobState.FAILED)
    assert "discarded" in stage.said()


async def test_a_channel_for_reports_is_named_and_taken_away(stage: ClientInSimcord) -> None:
    named = reply_of(await stage.admin.slash(stage.channel, "safety set", report_channel=stage.channel))
    assert f"Reports are posted in <#{stage.channel.id}>" in named.content
    kept = reply_of(await stage.admin.slash(stage.channel, "safety set", mode="off"))
    assert f"<#{stage.channel.id}>" in kept.content
    taken = reply_of(await stage.admin.slash(stage.channel, "safety set", reports=False))
    assert "not posted" in taken.content and "not checked" in taken.content


async def test_safety_says_what_the_models_in_use_can_see(stage: ClientInSimcord) -> None:
    shown = reply_of(await stage.admin.slash(stage.channel, "safety show")).content
    assert "The check is a guess by a fake, since the trained check is not installed here." in shown
    assert "at least 60 % sure" in shown
    stage.engine.safety_perceptors = ()
    blind = reply_of(await stage.admin.slash(stage.channel, "safety set", mode="refuse")).content
    assert "With the models in use (starter) the check is no guard" in blind and "/blocklist" in blind
    stage.service.has_trained_check = True
    trained = reply_of(await stage.admin.slash(stage.channel, "safety set", certainty=85)).content
    assert "at least 85 % sure" in trained and "made by open_nsfw" in trained and "no guard" not in trained


async def test_stats_and_retention(stage: ClientInSimcord) -> None:
    await stage.finished_job(count=2)
    shown = reply_of(await stage.admin.slash(stage.channel, "stats"))
    assert "**2** pictures" in (shown.embeds[0].description or "")
    set_to = reply_of(await stage.admin.slash(stage.channel, "retention", days=3))
    assert set_to.content.startswith(
        "Pictures and everything that belongs to them are deleted after 3 days. The next pictures"
    )
    assert reply_of(await stage.admin.slash(stage.channel, "retention")).content == set_to.content
    longer = reply_of(await stage.admin.slash(stage.channel, "retention", days=400))
    assert "after 90 days. The host of this bot keeps nothing longer than that." in longer.content


async def test_retention_counts_what_goes_and_asks_first(stage: ClientInSimcord) -> None:
    await stage.finished_job(count=2)
    await stage.service.store.jobs.change(1, ended_at=(await stage.job()).created_at - 5 * 86_400)
    # The message's own time counts too, and simcord's clock stands in another year.
    await stage.service.store.jobs.change(1, message_id=None)
    asked = reply_of(await stage.admin.slash(stage.channel, "retention", days=3))
    assert "2 older pictures of 1 jobs will be deleted permanently within 1 h" in asked.content
    assert await stage.service.guilds.retention_days(stage.guild.id) == 90
    await stage.admin.click(asked, label="Keep 3 days, delete 2 pictures")
    assert "deleted after 3 days" in asked.content
    assert await stage.service.guilds.retention_days(stage.guild.id) == 3


async def test_a_new_rule_asks_about_the_waiting_jobs_that_break_it(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "pause")
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    await stage.bob.slash(stage.channel, "imagine", prompt="a green pear")
    asked = reply_of(await stage.admin.slash(stage.channel, "blocklist add", rule="Apple"))
    assert "are now refused" in asked.content and f"<@{stage.ann.id}> 1" in asked.content
    await stage.restart()
    await stage.admin.click(asked, label="Cancel one job")
    cancelled = await stage.ended(1, JobState.CANCELLED)
    assert cancelled.reason is not None and "have forbidden “apple”" in cancelled.reason.said()
    assert (await stage.job(2)).state is JobState.QUEUED
    await stage.admin.slash(stage.channel, "blocklist remove", rule="apple")
    gone = await stage.admin.slash(stage.channel, "blocklist add", rule="cherry")
    assert reply_of(gone).content.startswith("Prompts that contain “cherry” are now refused.")


async def test_stats_count_cancelled_failed_and_waiting_jobs(stage: ClientInSimcord) -> None:
    await stage.finished_job()
    stage.engine.faults.append(MemoryError())
    await stage.ann.slash(stage.channel, "imagine", prompt="too large")
    await stage.ended(2, JobState.FAILED)
    await stage.admin.slash(stage.channel, "pause")
    for prompt in ("one", "two"):
        await stage.ann.slash(stage.channel, "imagine", prompt=prompt)
    await stage.ann.slash(stage.channel, "cancel", job=3)
    shown = reply_of(await stage.admin.slash(stage.channel, "stats", days=1)).embeds[0]
    assert shown.title == "Today"
    text = shown.description or ""
    assert "**1** pictures, " in text
    assert "1 jobs cancelled, 1 failed" in text
    assert "1 waiting now" in text


async def test_the_blocklist_is_tested_and_says_which_rule_hit(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "blocklist add", rule="ass")
    hit = reply_of(await stage.admin.slash(stage.channel, "blocklist test", text="what an ASS"))
    assert hit.content == "Refused: the text breaks the rule “ass”."
    free = reply_of(await stage.admin.slash(stage.channel, "blocklist test", text="green grass"))
    assert free.content == "Allowed: the text breaks no rule."
    assert reply_of(await stage.admin.slash(stage.channel, "blocklist list")).content == "ass"
    await stage.admin.slash(stage.channel, "blocklist remove", rule="ass")
    unknown = await stage.admin.slash(stage.channel, "blocklist remove", rule="ass")
    assert "There is no rule “ass”." in reply_of(unknown).content


async def test_host_commands_are_for_the_host_only(stage: ClientInSimcord) -> None:
    await stage.open_command("host", stage.ann)
    refused = await stage.ann.slash(stage.channel, "host status")
    assert reply_of(refused).content == "Only the host of this bot can do this."
    stage.client.hosts.add(stage.ann.id)
    status = reply_of(await stage.ann.slash(stage.channel, "host status")).content
    assert "Worker: " in status and "{" not in status
    await stage.ann.slash(stage.channel, "host drain")
    busy = await stage.bob.slash(stage.channel, "imagine", prompt="a red apple")
    assert "about to restart" in reply_of(busy).content
    await stage.ann.slash(stage.channel, "host drain", on=False)
    await stage.finished_job()


class TestReload:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return Config(timing=config.timing, discord=Discord(owners=[1]))

    async def test_the_hosts_styles_are_read_again(self, stage: ClientInSimcord) -> None:
        stage.client.hosts.add(stage.admin.id)
        path = stage.folder.parent / "config.yaml"
        path.write_text("styles:\n  night: at night\n", "utf-8")
        stage.client.config_path = path
        await stage.open_command("host", stage.admin)
        reply = reply_of(await stage.admin.slash(stage.channel, "host reload-styles"))
        assert reply.content == "Styles reloaded. The config file has one style."
