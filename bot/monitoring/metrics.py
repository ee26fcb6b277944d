"""Counters and times of this process in Prometheus' format; /host status shows the same. Event loop.

Everything starts at zero with each start. Labels come from short fixed lists and the workers' names: no ids, no
names of people, no prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.jobs import Event, Job, JobState

STANDINGS = ("queued", "running", "posting", "waiting")
"""Standings of a job that has not ended; `waiting` is waiting for access to its channel."""
DELETED = "deleted"
ENDS = (JobState.DONE.value, JobState.FAILED.value, JobState.CANCELLED.value, DELETED)
OTHER = "other"
REASONS = (
    "unexpected", "out_of_memory", "models_broken", "generator_says", "not_saved", "painter_died", "crashed_often",
    "refused_by_check", "picture_lost", "post_refused", "channel_gone", "channel_closed", "never_posted", OTHER,
)  # fmt: skip
"""Reasons of failure, by the names of the texts that people read; OTHER is all the rest."""
PAINTER_GAUGES = {
    "busy": "1 if the worker works on a picture.",
    "draining": "1 if the worker takes no more pictures.",
    "step_seconds": "A step of the worker's current picture; 0 without one.",
    "silent_seconds": "Time since the worker's last sign of life.",
    "resident_sets": "Model sets in the worker's memory.",
}
_WAITS_S = (1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800)
_STEPS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10)
_PICTURES_S = (2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800)
_LAGS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Totals since the start; means are 0 without data. Times in seconds."""

    accepted: int
    ends: Mapping[str, int]
    """Jobs by their end, all of ENDS."""
    failures: Mapping[str, int]
    """Failed jobs by reason; only the reasons that occurred."""
    interrupted: int
    pictures: int
    wait_mean_s: float
    step_mean_s: float


class Metrics:
    """Counters and times of this process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._jobs = Gauge("reverie_jobs", "Jobs that have not ended.", ["state"], registry=registry)
        self._accepted = Counter("reverie_jobs_accepted", "Jobs that were accepted.", registry=registry)
        self._ended = Counter("reverie_jobs_ended", "Jobs that ended.", ["end"], registry=registry)
        self._failed = Counter("reverie_jobs_failed", "Jobs that failed.", ["reason"], registry=registry)
        self._interrupted = Counter(
            "reverie_jobs_interrupted", "Times that a job went back from the worker to the queue.", registry=registry
        )
        self._pictures = Counter("reverie_pictures", "Pictures that were generated and saved.", registry=registry)
        self._waits = self._times("reverie_job_wait_seconds", "From a job's acceptance to its turn.", _WAITS_S)
        self._posts = self._times("reverie_job_post_seconds", "From saved pictures to Discord's answer.", _WAITS_S)
        self._steps = self._times("reverie_step_seconds", "A step of a picture, on average over it.", _STEPS_S)
        self._picture_times = self._times("reverie_picture_seconds", "Generating a picture.", _PICTURES_S)
        self._lags = self._times("reverie_loop_lag_seconds", "How late the event loop comes to its tasks.", _LAGS_S)
        self._deaths = Gauge("reverie_painter_deaths", "Painters that were replaced.", registry=registry)
        self._gpu = Gauge("reverie_gpu_memory_bytes", "Memory of the GPU.", ["kind"], registry=registry)
        self._painters = {
            name: Gauge(f"reverie_painter_{name}", text, ["painter"], registry=registry)
            for name, text in PAINTER_GAUGES.items()
        }
        for end in ENDS:
            self._ended.labels(end)
        for reason in REASONS:
            self._failed.labels(reason)

    def on_event(self, event: Event) -> None:
        """Count a job's change of state."""
        job, before = event.job, event.before
        if before is None:
            self._accepted.inc()
        elif event.deleted or job.state.ended:
            self._note_end(job, event.deleted)
        elif job.state is JobState.QUEUED:
            self._interrupted.inc()
        elif job.state is JobState.RUNNING and before.started_at is None:
            self._waits.observe(max(0.0, (job.started_at or job.created_at) - job.created_at))

    def picture_saved(self, paint_s: float, step_s: float) -> None:
        """Count a saved picture."""
        self._pictures.inc()
        self._picture_times.observe(paint_s)
        if step_s:
            self._steps.observe(step_s)

    def note_lag(self, lag_s: float) -> None:
        """Record by how many seconds the event loop ran a task late."""
        self._lags.observe(lag_s)

    def totals(self) -> Totals:
        """Totals for people."""
        failures = {reason: self._value("reverie_jobs_failed_total", reason=reason) for reason in REASONS}
        return Totals(
            accepted=int(self._value("reverie_jobs_accepted_total")),
            ends={end: int(self._value("reverie_jobs_ended_total", end=end)) for end in ENDS},
            failures={reason: int(count) for reason, count in failures.items() if count},
            interrupted=int(self._value("reverie_jobs_interrupted_total")),
            pictures=int(self._value("reverie_pictures_total")),
            wait_mean_s=self._mean("reverie_job_wait_seconds"),
            step_mean_s=self._mean("reverie_step_seconds"),
        )

    def exposition(
        self,
        jobs: Mapping[str, int],
        deaths: int,
        gpu_bytes: Mapping[str, int],
        painters: Mapping[str, Mapping[str, float]],
    ) -> bytes:
        """All metrics in Prometheus' text format, with the current gauges.

        `jobs` are the unfinished ones by STANDINGS, `gpu_bytes` the GPU's memory by kind, empty without a GPU;
        `painters` has the values of PAINTER_GAUGES for each one's name.
        """
        for name, gauge in self._painters.items():
            gauge.clear()
            for painter, values in painters.items():
                gauge.labels(painter).set(values[name])
        for standing in STANDINGS:
            self._jobs.labels(standing).set(jobs.get(standing, 0))
        self._deaths.set(deaths)
        for kind, count in gpu_bytes.items():
            self._gpu.labels(kind).set(count)
        return generate_latest(self.registry)

    def _note_end(self, job: Job, deleted: bool) -> None:
        self._ended.labels(DELETED if deleted else job.state.value).inc()
        if deleted:
            return
        if job.state is JobState.FAILED:
            key = "" if job.reason is None else job.reason.key
            self._failed.labels(key if key in REASONS else OTHER).inc()
        if job.state is JobState.DONE and job.ended_at is not None and job.painted_at is not None:
            self._posts.observe(max(0.0, job.ended_at - job.painted_at))

    def _times(self, name: str, help_text: str, buckets_s: tuple[float, ...]) -> Histogram:
        return Histogram(name, help_text, buckets=buckets_s, registry=self.registry)

    def _mean(self, name: str) -> float:
        count = self._value(f"{name}_count")
        return self._value(f"{name}_sum") / count if count else 0.0

    def _value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0
