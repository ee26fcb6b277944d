"""Message content of a job: state, words, pictures, buttons. Pure: no I/O, no Discord calls."""

from __future__ import annotations

from collections.abc import Sequence

from bot.frontend.messages.content import MessageContent
from bot.frontend.messages.job_buttons import ButtonSpec
from bot.frontend.words import prompt_as_typed, said_plainly
from bot.jobs import Job, JobState, Layout, StoredPicture
from bot.service import Delivery, JobView, PictureFile
from bot.texts import Sentence, say

SHOWN_PROMPT = 900
"""Characters of a prompt that are shown; escaped, they stay below an embed's limits."""
BAR_CELLS = 20
FIGURE_SPACE = "\u2007"
"""As wide as a digit."""
ALT_TEXT = 1_000
_LAST = ("delete", "report")
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
    status = _status(view) + _made_from(job, view.source)
    waits = (Sentence.of("note_by_token"),) if job.by_token and not job.state.ended else ()
    lines = () if job.private else _lines(job, [*notes, *view.warnings, *waits])
    step = view.preview.step if view.preview is not None else None
    return MessageContent(
        status=status,
        lines=lines,
        footer=recipe_line(job),
        colour=COLOURS[job.state],
        files=files,
        rows=_rows_under_way(view),
        alt_texts=alt_texts_of(job, 1),
        marks=(status, lines, step, view.number),
    )


def finished(delivery: Delivery) -> MessageContent:
    """Content of the message with a job's finished pictures."""
    job, pictures = delivery.job, delivery.pictures
    if job.private:
        return concealed(job, "state_private_done")
    return final(
        job, pictures, delivery.files, job.layout, delivery.left_out, spoiler=delivery.spoiler, source=delivery.source
    )


def concealed(job: Job, key: str) -> MessageContent:
    """A text and the buttons for the owner, in place of finished pictures that only the owner may see."""
    row = (ButtonSpec("show", job.id, job.locale), ButtonSpec("delete", job.id, job.locale))
    return MessageContent(say(key, job.locale, user=f"<@{job.user_id}>"), rows=(row,))


def final(
    job: Job,
    pictures: Sequence[StoredPicture],
    files: tuple[PictureFile, ...],
    layout: Layout,
    left_out: Sequence[Sentence] = (),
    *,
    spoiler: bool = False,
    source: Job | None = None,
) -> MessageContent:
    """Finished pictures with a short recipe, notes on omitted files, and the buttons of a layout."""
    locale = job.locale
    best = max(picture.similarity for picture in pictures)
    status = say(
        "state_done", locale, user=f"<@{job.user_id}>", similarity=f"{best:.2f}", time=duration(job.paint_s, locale)
    )
    return MessageContent(
        status=status + _made_from(job, source),
        lines=_lines(job, left_out, pictures),
        footer=recipe_line(job, pictures),
        colour=COLOURS[JobState.DONE],
        files=files,
        rows=rows_when_done(job, pictures, layout),
        spoiler=spoiler,
        alt_texts=alt_texts_of(
            job,
            len(files) if job.film_s else sum(not file.moves for file in files),
            filmed=any(file.moves for file in files),
        ),
    )


def wordless(plain: MessageContent, locale: str) -> MessageContent:
    """The same content without the prompt, for use if Discord's moderation blocks it."""
    status = say("words_withheld", locale)
    return MessageContent(status, colour=plain.colour, files=plain.files, rows=plain.rows, spoiler=plain.spoiler)


Rows = tuple[tuple[ButtonSpec, ...], ...]


def rows_when_done(job: Job, pictures: Sequence[StoredPicture], layout: Layout) -> Rows:
    """Rows of buttons for finished pictures; with components two, and the other actions behind the last button."""
    filmed = ("timelapse",) if any(picture.has_timelapse for picture in pictures) else ()
    if job.film_s:
        more = ("continue",) if any(picture.stopped_at is not None for picture in pictures) else ()
        return (_row(job, *more, "again", "heart", "recipe", *(("more",) if layout is Layout.COMPONENTS else _LAST)),)
    if layout is Layout.COMPONENTS and job.count == 1:
        first = _row(job, "upscale", "vary", "continue", "remix", "again")
        return first, _row(job, "heart", "film", *filmed, "recipe", "more")
    if layout is Layout.COMPONENTS:
        return (
            (*_numbered(job, pictures, "upscale", "U"), *_row(job, "again")),
            (*_numbered(job, pictures, "vary", "V"), *_row(job, "more")),
        )
    if job.count == 1:
        first = _row(job, "again", "vary", "continue", "remix", "upscale")
        return first, _row(job, "heart", *filmed, "recipe", *_LAST), _row(job, "film")
    numbered = (("upscale", "U"), ("vary", "V"), ("heart", "♥"))
    rows = tuple(_numbered(job, pictures, action, letter) for action, letter in numbered)
    return *rows, _row(job, "again", "recipe", *filmed, *_LAST)


def rows_of_more(job: Job, pictures: Sequence[StoredPicture]) -> Rows:
    """Rows of the buttons that `rows_when_done` leaves out with components."""
    filmed = ("timelapse",) if any(picture.has_timelapse for picture in pictures) else ()
    kept = ("settings", "keep")
    if job.count == 1:
        return (_row(job, *kept, *_LAST),)
    films = _numbered(job, pictures, "film", "🎬")
    return _numbered(job, pictures, "heart", "♥"), films, _row(job, "recipe", *filmed, *kept), _row(job, *_LAST)


def _row(job: Job, *actions: str) -> tuple[ButtonSpec, ...]:
    return tuple(ButtonSpec(action, job.id, job.locale) for action in actions)


def _numbered(job: Job, pictures: Sequence[StoredPicture], action: str, letter: str) -> tuple[ButtonSpec, ...]:
    numbers = [picture.number for picture in pictures]
    return tuple(ButtonSpec(action, job.id, job.locale, number, f"{letter}{number}") for number in numbers)


def recipe_line(job: Job, pictures: Sequence[StoredPicture] = ()) -> str:
    """The recipe in one line: size, steps, seed, start, models."""
    settings, locale = job.settings, job.locale
    size = f"{pictures[0].width}x{pictures[0].height}" if pictures else str(settings.size)
    steps = pictures[0].steps if pictures else settings.steps
    seed = str(settings.seed) if job.count == 1 else f"{settings.seed}+{job.count - 1}"
    if job.film_s:
        film_s = f"{job.film_s:g}"
        line = say("recipe_line_film", locale, size=size, seconds=film_s, frames=steps, seed=seed, models=job.models)
        return f"{line} · #{job.id}"
    line = say("recipe_line", locale, size=size, count=steps, seed=seed, start=settings.start, models=job.models)
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
    """Address of a job's message; None if it has none, or in a place that the bot does not know."""
    if job.message_id is None or job.by_token:
        return None
    server = job.guild_id if job.guild_id > 0 else "@me"
    return f"https://discord.com/channels/{server}/{job.channel_id}/{job.message_id}"


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
    # Two lines of constant width from the beginning, so that nothing below them jumps.
    if progress is None:
        return f"{say('state_begun', locale, user=user)}\n{_measured(view.job, 0, view.job.settings.steps, '–')}"
    head = "state_finishing" if view.finishing else "state_painting" if view.job.count == 1 else "state_painting_one_of"
    first = say(head, locale, user=user, number=view.number, of=view.job.count, due=when(view.due_at) or "")
    return f"{first}\n{_measured(view.job, progress.step, progress.steps, f'{progress.similarity:.2f}')}"


def _measured(job: Job, step: int, steps: int, similarity: str) -> str:
    padded = str(step).rjust(len(str(steps)), FIGURE_SPACE)
    key = "state_progress_film" if job.film_s else "state_progress"
    return say(key, job.locale, bar=bar(step, steps), step=padded, steps=steps, similarity=similarity)


def _lines(job: Job, notes: Sequence[Sentence], pictures: Sequence[StoredPicture] = ()) -> tuple[str, ...]:
    """The prompt, then the notes about it and about its pictures."""
    locale = job.locale
    said = dict.fromkeys([*notes, *(warning for picture in pictures for warning in picture.warnings)])
    prompt = prompt_as_typed(job.prompt, SHOWN_PROMPT, locale)
    return prompt, *(f"• {said_plainly(note, locale, NOTE)}" for note in list(said)[:NOTES])


def _rows_under_way(view: JobView) -> Rows:
    job, actions = view.job, list[str]()
    if job.state is JobState.RUNNING and not view.finishing:
        actions.append("finish")
    if job.private and job.state is JobState.RUNNING:
        actions.append("show")
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        actions.append("cancel")
        if job.by_token:
            actions.append("fetch")
    return (_row(job, *actions),) if actions else ()


def alt_texts_of(job: Job, count: int, *, filmed: bool = False) -> tuple[str, ...]:
    """Descriptions of `count` pictures or parts of a film, and of a timelapse behind them; none of a private job."""
    if job.private:
        return ()
    locale, prompt = job.locale, " ".join(job.prompt.split())
    text = say("alt_text", locale, prompt=prompt) if prompt else say("alt_text_pictures", locale)
    if job.film_s:
        text, filmed = say("alt_text_film", locale, prompt=prompt), False
    texts = [text if count == 1 else f"{number}/{count}: {text}" for number in range(1, count + 1)]
    if filmed:
        texts.append(say("alt_text_timelapse", locale, prompt=prompt))
    return tuple(text[:ALT_TEXT] for text in texts)
