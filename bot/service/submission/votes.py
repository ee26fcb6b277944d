"""Votes: a channel steers a picture. Each round has variants, of which the people choose the one that goes on.

Event loop. A vote is a row that moves from round to round; its pictures are ordinary jobs of the person who asked.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from bot.errors import InvalidJobSpec, NotFound, NotOwner, OverLimit, QueueFull, Refused, ShuttingDown, WrongState
from bot.jobs import Job, JobState, Origin, StoredPicture, Vote
from bot.service.requests import compose
from bot.service.submission.single import Submissions
from bot.service.values import FollowUp, JobSpec, Requester, SubmittedJob
from bot.store import Store
from bot.texts import Sentence

VARIANTS = 4
MAX_WORDS, MAX_CHARACTERS = 4, 60
_MARK = re.compile(r"[|^:]")
_SETS = ("role_ids", "parent_channel_ids")


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """The state of a round: its vote, its pictures, and the number of people for each picture and for the words.

    The words count from 1; 0 stands for none.
    """

    vote: Vote
    variants: tuple[StoredPicture, ...]
    pictures: Mapping[int, int]
    words: Mapping[int, int]

    @property
    def winner(self) -> int:
        """The picture with the most votes; among equals, the one nearest to the prompt."""
        return max(self.variants, key=lambda item: (self.pictures.get(item.number, 0), item.similarity)).number

    @property
    def added(self) -> str:
        """The words with the most votes; none without votes, and among equals the first."""
        chosen = max(self.words, key=lambda number: (self.words[number], -number), default=0)
        return self.vote.words[chosen - 1] if chosen else ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The end of a round: the picture that goes on, its words, and the job that continues it or why there is none."""

    ballot: Ballot
    winner: int
    added: str
    job: Job | None = None
    reason: Sentence | None = None


class Votes:
    """Votes under way."""

    def __init__(self, store: Store, submissions: Submissions) -> None:
        self._store, self._submissions = store, submissions

    async def start(
        self,
        requester: Requester,
        spec: JobSpec,
        *,
        rounds: int,
        seconds: int,
        words: Sequence[str] = (),
        role_id: int | None = None,
    ) -> tuple[SubmittedJob, Vote]:
        """Submit the variants of the first round, and begin the vote; one at a time in a channel.

        Raises:
            Refused: as `Submissions.submit`.
        """
        found = tuple(dict.fromkeys(filter(None, (" ".join(each.split()) for each in words))))
        if len(found) > MAX_WORDS or any(len(each) > MAX_CHARACTERS for each in found):
            raise InvalidJobSpec("vote_words", field="words", most=MAX_WORDS, characters=MAX_CHARACTERS)
        if await self._store.votes.under_way(requester.channel_id):
            raise WrongState("vote_under_way")
        limits = await self._submissions.admit(requester)
        if limits.count < 2:
            raise OverLimit("over_count", count=limits.count)
        await self._submissions.check_words(requester, lambda: [f"{spec.prompt} {each}" for each in found])
        spec = replace(spec, count=min(VARIANTS, limits.count), private=False)
        submitted = await self._submissions.submit(requester, spec)
        steps = spec.settings.get("steps")
        begun = await self._store.votes.add(
            Vote(
                guild_id=requester.guild_id,
                channel_id=requester.channel_id,
                user_id=requester.user_id,
                requester=_written(requester),
                prompt=submitted.job.prompt,
                words=found,
                rounds=rounds,
                seconds=seconds,
                steps=steps if isinstance(steps, int) else None,
                role_id=role_id,
                job_id=submitted.job.id,
            )
        )
        return submitted, begun

    async def under_way(self) -> list[Vote]:
        """All votes."""
        return await self._store.votes.under_way()

    async def get(self, vote_id: int) -> Vote | None:
        """A vote; None if it has ended."""
        return await self._store.votes.get(vote_id)

    async def ballot(self, vote: Vote) -> Ballot:
        """The state of a vote's round."""
        pictures, words = await self._store.votes.tally(vote.id)
        variants = await self._store.jobs.pictures(vote.job_id or 0)
        return Ballot(vote=vote, variants=variants, pictures=pictures, words=words)

    async def job(self, vote: Vote) -> Job | None:
        """The job of a vote's current variants; None if it was deleted."""
        return None if vote.job_id is None else await self._store.jobs.get(vote.job_id)

    async def opened(self, vote: Vote, message_id: int, ends_at: float) -> None:
        """Record the message of a round and the end of its time (seconds since 1970)."""
        await self._store.votes.change(vote.id, message_id=message_id, ends_at=ends_at)

    async def abandon(self, vote_id: int) -> None:
        """End a vote whose rounds cannot be shown."""
        await self._store.votes.delete(vote_id)

    async def cast(self, requester: Requester, vote_id: int, name: str, value: int) -> Ballot:
        """Count a person's choice of a `picture` (from 1) or of `words` (from 0) in this round.

        Raises:
            NotFound, WrongState: if there is no such vote or choice (any more).
            Blocked, WrongChannel: if the person may not ask for pictures here.
            NotOwner: if only people with another role vote.
        """
        vote = await self._open(requester, vote_id)
        await self._submissions.admit(requester)
        if vote.role_id is not None and vote.role_id not in requester.role_ids:
            raise NotOwner("vote_role", role=f"<@&{vote.role_id}>")
        numbers = {item.number for item in (await self.ballot(vote)).variants}
        if value not in (numbers if name == "picture" else range(len(vote.words) + 1)):
            raise NotFound("vote_ended")
        await self._store.votes.cast(vote_id, requester.user_id, name, value)
        return await self.ballot(vote)

    async def end_round(self, requester: Requester, vote_id: int) -> None:
        """End the time of the current round.

        Raises:
            NotFound, WrongState
            NotOwner: unless the requester began the vote or manages the server.
        """
        vote = await self._open(requester, vote_id)
        _check_owner(requester, vote)
        await self._store.votes.change(vote_id, ends_at=time.time())

    async def stop(self, requester: Requester, vote_id: int) -> Vote:
        """End a vote; its pictures stay.

        Raises:
            NotFound, WrongState, NotOwner: as `end_round`.
        """
        vote = await self._open(requester, vote_id)
        _check_owner(requester, vote)
        await self._store.votes.delete(vote_id)
        return vote

    async def close_round(self, vote: Vote) -> Result:
        """Count a round and submit what follows: variants of the winner, or after the last round the winner alone.

        If that is refused for good, the vote ends, and the result says why.

        Raises:
            Refused: for the moment; the round can be closed later.
        """
        ballot, job = await self.ballot(vote), await self.job(vote)
        if job is None or not ballot.variants:
            await self._store.votes.delete(vote.id)
            return Result(ballot=ballot, winner=1, added="", reason=Sentence.of("job_gone"))
        winner, added, last = ballot.winner, ballot.added, vote.round >= vote.rounds
        prompt = with_words(vote.prompt, added) if added else vote.prompt
        kind = Origin.REMIX if added else Origin.CONTINUE if last else Origin.VARY
        change = FollowUp(
            kind=kind,
            prompt=prompt if added else None,
            steps=vote.steps,
            count=1 if last else job.count,
            private=False,
        )
        try:
            follower = await self._follower(vote, job, winner)
            if follower is None:
                follower = (await self._submissions.go_on(_read(vote.requester), job.id, winner, change)).job
        except Refused as exc:
            if isinstance(exc, QueueFull | ShuttingDown) or exc.sentence.key == "cooldown":
                raise
            await self._store.votes.delete(vote.id)
            return Result(ballot=ballot, winner=winner, added=added, reason=exc.sentence)
        if last:
            await self._store.votes.delete(vote.id)
        else:
            await self._store.votes.change(
                vote.id, round=vote.round + 1, job_id=follower.id, prompt=prompt, message_id=None, ends_at=None
            )
        return Result(ballot=ballot, winner=winner, added=added, job=follower)

    async def failed(self, vote: Vote) -> bool:
        """End a vote whose variants were cancelled, deleted or not made; return True if so."""
        job = await self.job(vote)
        if job is not None and job.state not in (JobState.CANCELLED, JobState.FAILED):
            return False
        await self._store.votes.delete(vote.id)
        return True

    async def _follower(self, vote: Vote, job: Job, winner: int) -> Job | None:
        """The job that was submitted before the process ended while it closed this round."""
        since = vote.ends_at or 0.0
        for found in await self._store.jobs.under_way(guild_id=vote.guild_id, user_id=vote.user_id):
            if found.source_id == job.id and found.source_number == winner and found.created_at >= since:
                return found
        return None

    async def _open(self, requester: Requester, vote_id: int) -> Vote:
        """A vote of the requester's server that takes votes now."""
        vote = await self._store.votes.get(vote_id)
        if vote is None or vote.guild_id != requester.guild_id:
            raise NotFound("vote_ended")
        if vote.ends_at is None or vote.ends_at <= time.time():
            raise WrongState("vote_ended")
        return vote


def with_words(prompt: str, added: str) -> str:
    """A prompt with further words: at its end if it is plain, else as a part of each of its scenes."""
    return compose(prompt, added, "") if _MARK.search(prompt) else f"{prompt} {added}".strip()


def _check_owner(requester: Requester, vote: Vote) -> None:
    if vote.user_id != requester.user_id and not requester.manages:
        raise NotOwner("not_owner")


def _written(requester: Requester) -> str:
    """The requester in JSON, for later rounds; without the rights over the server or the bot."""
    values = asdict(replace(requester, manages=False, hosts=False))
    return json.dumps(values | {name: sorted(values[name]) for name in _SETS})


def _read(text: str) -> Requester:
    values = json.loads(text)
    return Requester(**values | {name: frozenset(values[name]) for name in _SETS})
