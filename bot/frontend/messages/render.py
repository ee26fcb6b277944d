"""Message content of a job: text, embed, buttons, files. Pure: no I/O, no Discord calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import discord

from bot.frontend.messages.job_buttons import job_button
from bot.frontend.words import as_typed, said_plainly, within
from bot.jobs import Job, JobState, StoredPicture
from bot.service import Delivery, JobView, PictureFile
from bot.texts import Sentence, say

SHOWN_PROMPT = 900
"""Characters of a prompt that are shown; escaped, they stay below an embed's limits."""
DESCRIPTION = 4_000
"""Approximate limit of an embed's description, in characters."""
BAR_CELLS = 20
ALT_TEXT = 1_000
NOTES, NOTE = 12, 300
"""Number of notes shown about a prompt, and the characters of each."""
COLOURS = {
    JobState.QUEUED: 0x80848E,
    JobState.RUNNING: 0x5865F2,
    JobState.POSTING: 0x5865F2,
    JobState.DONE: 0x23A55A,
    JobState.CANCELLED: 0x80848E,
    JobState.FAILED: 0xDA373C,
}


@dataclass(frozen=True)
class MessageContent:
    """The content of a message. `files` replace its previous files."""

    content: str
    embed: discord.Embed | None = None
    buttons: discord.ui.View | None = None
    files: tuple[PictureFile, ...] = ()
    spoiler: bool = False
    alt_text: str = ""
    marks: tuple[object, ...] = field(default=(), compare=False)
    """Content with equal marks looks the same and needs no edit."""

    def uploads(self) -> list[discord.File]:
        """New file objects, since each can be sent only once."""
        return [
            discord.File(BytesIO(file.data), file.name, spoiler=self.spoiler, description=self.alt_text or None)
            for file in self.files
        ]


def shown(view: JobView, notes: Sequence[Sentence] = ()) -> MessageContent:
    """Content for a job that waits, runs, or ended without a picture."""
    job = view.job
    files: tuple[PictureFile, ...] = ()
    if view.preview is not None and not job.private and job.state is JobState.RUNNING:
        preview = view.preview
        files = (
            PictureFile(
                name=f"preview-{job.id}.{preview.ending}", data=preview.data, width=preview.width, height=preview.height
            ),
        )
    content = _status(view) + _made_from(job, view.source)
    embed = None if job.private else _embed(job, [*notes, *view.warnings], files)
    step = view.preview.step if view.preview is not None else None
    marks = (content, None if embed is None else embed.description, step, view.number)
    return MessageContent(content, embed, _buttons_under_way(view), files, False, _alt_text(job), marks)


def finished(delivery: Delivery) -> MessageContent:
    """Content of the message with a job's finished pictures."""
    job, pictures = delivery.job, delivery.pictures
    if job.private:
        return concealed(job, "state_private_done")
    return final(job, pictures, delivery.files, delivery.left_out, spoiler=delivery.spoiler, source=delivery.source)


def concealed(job: Job, key: str) -> MessageContent:
    """A text and the buttons for the owner, in place of finished pictures that only the owner may see."""
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(job_button("show", job.id, job.locale))
    buttons.add_item(job_button("delete", job.id, job.locale))
    return MessageContent(say(key, job.locale, user=f"<@{job.user_id}>"), None, buttons)


def final(
    job: Job,
    pictures: Sequence[StoredPicture],
    files: tuple[PictureFile, ...],
    left_out: Sequence[Sentence] = (),
    *,
    spoiler: bool = False,
    source: Job | None = None,
) -> MessageContent:
    """Finished pictures with a short recipe, notes on omitted files, and all buttons."""
    locale = job.locale
    best = max(picture.similarity for picture in pictures)
    content = say(
        "state_done", locale, user=f"<@{job.user_id}>", similarity=f"{best:.2f}", time=duration(job.paint_s, locale)
    )
    content += _made_from(job, source)
    shown_inside = () if spoiler or job.film_s else files[:1]
    embed = _embed(job, left_out, shown_inside, pictures, done=True)
    return MessageContent(content, embed, buttons_when_done(job, pictures), files, spoiler, _alt_text(job))


def wordless(plain: MessageContent, locale: str) -> MessageContent:
    """The same content without the prompt, for use if Discord's moderation blocks it."""
    return MessageContent(say("words_withheld", locale), None, plain.buttons, plain.files, plain.spoiler)


def buttons_when_done(job: Job, pictures: Sequence[StoredPicture]) -> discord.ui.View:
    """Buttons for finished pictures."""
    buttons = discord.ui.View(timeout=None)
    locale = job.locale
    last: tuple[str, ...] = ("heart", "timelapse", "recipe", "delete", "report")
    if job.film_s:
        last = ("again", "heart", "recipe", "delete", "report")
    elif job.count > 1:
        last = ("again", "recipe", "timelapse", "delete", "report")
        for row, (action, letter) in enumerate((("upscale", "U"), ("vary", "V"), ("heart", "♥"))):
            for picture in pictures:
                number = picture.number
                buttons.add_item(job_button(action, job.id, locale, number, row=row, short=f"{letter}{number}"))
    else:
        for action in ("again", "vary", "continue", "remix", "upscale"):
            buttons.add_item(job_button(action, job.id, locale, row=0))
        buttons.add_item(job_button("film", job.id, locale, row=1))
    for action in last:
        if action != "timelapse" or any(picture.has_timelapse for picture in pictures):
            buttons.add_item(job_button(action, job.id, locale, row=3))
    return buttons


def recipe_line(job: Job, pictures: Sequence[StoredPicture] = ()) -> str:
    """The recipe in one line: size, steps, seed, start, models."""
    settings, locale = job.settings, job.locale
    size = f"{pictures[0].width}x{pictures[0].height}" if pictures else str(settings.size)
    steps = pictures[0].steps if pictures else settings.steps
    if job.film_s:
        seconds = f"{job.film_s:g}"
        line = say(
            "recipe_line_film", locale, size=size, seconds=seconds, frames=steps, seed=settings.seed, models=job.models
        )
        return f"{line} · #{job.id}"
    seed = str(settings.seed) if job.count == 1 else f"{settings.seed}+{job.count - 1}"
    line = say("recipe_line", locale, size=size, steps=steps, seed=seed, start=settings.start, models=job.models)
    return f"{line} · #{job.id}"


def bar(step: int, steps: int) -> str:
    """Progress bar made of blocks."""
    full = BAR_CELLS * step // max(1, steps)
    return f"`{'█' * full}{'░' * (BAR_CELLS - full)}`"


def duration(seconds: float, locale: str) -> str:
    """A duration in words: `1 min 20 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return say("hours", locale, hours=minutes // 60, minutes=minutes % 60)


def link_to(job: Job) -> str | None:
    """Address of a job's message; None if it has none."""
    if job.message_id is None:
        return None
    return f"https://discord.com/channels/{job.guild_id}/{job.channel_id}/{job.message_id}"


def when(at: float | None) -> str | None:
    """A Discord timestamp that clients show as a countdown, rounded to five seconds."""
    return None if at is None else f"<t:{5 * round(at / 5)}:R>"


def _status(view: JobView) -> str:
    job, locale = view.job, view.job.locale
    user = f"<@{job.user_id}>"
    if job.state is JobState.QUEUED:
        return _waiting(view, user)
    if job.state is JobState.RUNNING:
        return _running(view, user)
    if job.state in (JobState.CANCELLED, JobState.FAILED):
        reason = said_plainly(job.reason, locale) if job.reason is not None else ""
        return say(f"state_{job.state.value}", locale, user=user, reason=reason)
    return say("state_posting", locale, user=user)


def _made_from(job: Job, source: Job | None) -> str:
    """A line about the job that this one was made from; nothing below a private picture."""
    if source is None or job.private:
        return ""
    link = link_to(source)
    text = say("made_from", job.locale, source=source.id, owner=f"<@{source.user_id}>")
    return f"\n{text}" if link is None else f"\n{text}: {link}"


def _waiting(view: JobView, user: str) -> str:
    locale, place = view.job.locale, view.place
    if view.paused:
        return say("state_paused" if view.job.started_at is None else "state_interrupted", locale, user=user)
    if place is None:
        return say("state_queued", locale, user=user)
    due = when(place.due_at)
    key = "state_place" if due is None else "state_place_due"
    return say(key, locale, user=user, place=place.place, of=place.of, due=due or "")


def _running(view: JobView, user: str) -> str:
    locale, progress = view.job.locale, view.progress
    if view.paused:
        return say("state_interrupted", locale, user=user)
    if progress is None:
        return say("state_begun", locale, user=user)
    head = "state_finishing" if view.finishing else "state_painting" if view.job.count == 1 else "state_painting_one_of"
    lines = [
        say(head, locale, user=user, number=view.number, of=view.job.count, due=when(view.due_at) or ""),
        say(
            "state_progress",
            locale,
            bar=bar(progress.step, progress.steps),
            step=progress.step,
            steps=progress.steps,
            similarity=f"{progress.similarity:.2f}",
        ),
    ]
    return "\n".join(lines)


def _embed(
    job: Job,
    notes: Sequence[Sentence],
    files: Sequence[PictureFile],
    pictures: Sequence[StoredPicture] = (),
    *,
    done: bool = False,
) -> discord.Embed:
    locale = job.locale
    lines = [as_typed(job.prompt, SHOWN_PROMPT) or say("no_words", locale)]
    said = dict.fromkeys([*notes, *(warning for picture in pictures for warning in picture.warnings)])
    lines += [f"• {said_plainly(note, locale, NOTE)}" for note in list(said)[:NOTES]]
    colour = COLOURS[JobState.DONE if done else job.state]
    embed = discord.Embed(description=within(lines, DESCRIPTION), colour=colour)
    embed.set_footer(text=recipe_line(job, pictures))
    if files:
        embed.set_image(url=f"attachment://{files[0].name}")
    return embed


def _buttons_under_way(view: JobView) -> discord.ui.View:
    job, buttons = view.job, discord.ui.View(timeout=None)
    if job.state is JobState.RUNNING and not view.finishing:
        buttons.add_item(job_button("finish", job.id, job.locale))
    if job.private and job.state is JobState.RUNNING:
        buttons.add_item(job_button("show", job.id, job.locale))
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        buttons.add_item(job_button("cancel", job.id, job.locale))
    return buttons


def _alt_text(job: Job) -> str:
    if job.private:
        return ""
    prompt = " ".join(job.prompt.split())
    if job.film_s:
        return say("alt_text_film", job.locale, prompt=prompt)[:ALT_TEXT]
    return say("alt_text", job.locale, prompt=prompt)[:ALT_TEXT] if prompt else say("alt_text_pictures", job.locale)
