"""All parts of the run, in their order."""

from __future__ import annotations

from benchmarks.cases import CASES
from benchmarks.gpu import entry_points, memory, repeating, speed, training, worker_thread
from benchmarks.gpu.figures import Part

PARTS = {
    part.name: part
    for part in (
        *(Part(name=f"speed-{name}", work=speed.case_part(name), alone=True) for name in CASES if name in speed.LEAST),
        Part(name="picture", work=speed.picture, alone=True),
        Part(name="film", work=speed.film, alone=True),
        Part(name="service", work=worker_thread.service, alone=True),
        Part(name="memory-filled", work=memory.filled, alone=True, on_a_cpu=False),
        # The longest come first, since they run beside each other.
        Part(name="training", work=training.commands, on_a_cpu=False),  # tests/training runs it on a CPU
        Part(name="command-line", work=entry_points.starter),
        Part(name="own-files", work=entry_points.own_files),
        Part(name="memory-jobs", work=memory.many_jobs, limit_s=150),
        Part(name="memory-share", work=memory.share),
        Part(name="repeating-starter", work=repeating.part_of("starter"), on_a_cpu=False),
        Part(name="repeating-real", work=repeating.part_of("real")),
        Part(name="painting-thread", work=worker_thread.stopped),
        # On a CPU, tests/benchmarks/test_measuring.py runs what is in it.
        Part(name="other-benchmarks", work=entry_points.other_benchmarks, on_a_cpu=False),
        Part(name="t4-profile", work=entry_points.t4),
        Part(name="no-compiler", work=entry_points.no_compiler, on_a_cpu=False),
        Part(name="notebook", work=entry_points.notebook),
        Part(name="doctor", work=entry_points.doctor),
    )
}
