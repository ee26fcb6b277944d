"""The kind of workers in use: the only place that knows it. Event loop, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bot.config import Config
from bot.waiting import ExternalWait, identity
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Engine, Executor
from bot.worker.thread import ThreadWorker
from generator import look_at_machine

if TYPE_CHECKING:
    from bot.worker.engine import GeneratorEngine


def open_workers(config: Config, engines: Mapping[str, Engine], external_wait: ExternalWait = identity) -> Executor:
    """The workers of a configuration, not started yet: one thread for each engine, under its name."""
    timing = config.timing
    workers = (
        ThreadWorker(
            engine,
            name,
            preview_s=timing.preview_s,
            snapshot_s=timing.snapshot_s,
            stall_s=timing.stall_s,
            external_wait=external_wait,
        )
        for name, engine in engines.items()
    )
    return WorkerPool(workers, external_wait=external_wait)


def open_engines(config: Config) -> dict[str, GeneratorEngine]:
    """One engine for each painter, by name; no models are loaded yet. Blocking: it looks for GPUs.

    Raises:
        InvalidRequest: if the model files named in config.yaml contradict each other, or one is missing.
    """
    from bot.worker.engine import GeneratorEngine

    return {
        name: GeneratorEngine(
            config.models.default,
            device,
            config.safety.threshold,
            offered=config.models.offered,
            own=config.own_models,
            digests=config.digests,
            precision=config.precision,
            memory_share=config.gpu_memory_share,
            fall_back_to_cpu=config.gpu_fall_back_to_cpu,
        )
        for name, device in _devices(config).items()
    }


def _devices(config: Config) -> dict[str, str]:
    """Devices to generate on, by the names of their painters: all GPUs, unless config.yaml names one device."""
    devices = [config.device]
    if config.device in ("auto", "cuda"):
        gpus = [number for number, gpu in enumerate(look_at_machine().gpus) if gpu.supported]
        devices = [f"cuda:{number}" for number in gpus] if len(gpus) > 1 else devices
    places = [devices[number % len(devices)] for number in range(config.painters.count or len(devices))]
    return {
        device if number < len(devices) else f"{device}-{number // len(devices) + 1}": device
        for number, device in enumerate(places)
    }
