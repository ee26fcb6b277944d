"""The kind of workers in use: the only place that knows it. Before anything is started."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import generator
from bot.config import Config
from bot.errors import ConfigError
from bot.waiting import ExternalWait, identity
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Engine, Executor
from bot.worker.thread import ThreadWorker
from generator import Settings, look_at_machine

if TYPE_CHECKING:
    from bot.worker.engine import GeneratorEngine

RAY = "ray"
RAY_VERSION = "2.60.0"
"""The version in requirements-ray.txt; all machines of a cluster need the same."""


def open_workers(config: Config, engines: Mapping[str, Engine], external_wait: ExternalWait = identity) -> Executor:
    """The workers of a configuration, not started yet. Event loop.

    Threads: one for each engine, under its name. With Ray, the engines only advise.
    """
    timing = config.timing
    if config.painters.kind == RAY:
        from bot.worker.cluster.environment import prepare_environment

        prepare_environment(os.environ, config.painters.address, Path.home())
        from bot.worker.cluster.pool import RayCluster

        return RayCluster(
            config.painters,
            functools.partial(engine_elsewhere, config),
            gpus=0 if config.device == "cpu" else len(look_at_machine().gpus),
            preview_s=timing.preview_s,
            snapshot_s=timing.snapshot_s,
            stall_s=timing.stall_s,
            external_wait=external_wait,
        )
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


def open_engines(config: Config) -> tuple[dict[str, Engine], Settings]:
    """The engines of this process by the names of their workers, and the settings that the usual models suggest.

    The first one advises about requests. With threads there is one for each device, and the first has its models
    loaded; with Ray there is one, which never generates and loads nothing that is large. Blocking.

    Raises:
        CheckpointError: if a model file is missing or broken.
        InvalidRequest: for unknown models or a missing device, or if own files contradict each other.
        ConfigError: if Ray is not installed, or another version of it.
    """
    if config.painters.kind == RAY:
        check_ray()
        adviser = _engine(config, "cpu")
        return {"adviser": adviser}, Settings().merged(adviser.suggested(config.model_name).defaults)
    engines = {name: _engine(config, device) for name, device in _devices(config).items()}
    suggested = next(iter(engines.values())).load()
    return dict(engines), suggested


def check_ray() -> None:
    """Check that the pinned version of Ray is installed.

    Raises:
        ConfigError: saying how to install it.
    """
    try:
        version = metadata.version("ray")
    except metadata.PackageNotFoundError as exc:
        raise ConfigError("ray_missing") from exc
    if version != RAY_VERSION:
        raise ConfigError("ray_other", have=version, wanted=RAY_VERSION)


def _engine(config: Config, device: str) -> GeneratorEngine:
    from bot.worker.engine import GeneratorEngine

    return GeneratorEngine(
        config.models.default,
        device,
        offered=config.models.offered,
        own=config.own_models,
        digests=config.digests,
        precision=config.precision,
        memory_share=config.gpu_memory_share,
        fall_back_to_cpu=config.gpu_fall_back_to_cpu,
        upscaler=config.upscaler_source,
    )


def engine_elsewhere(config: Config, gpu: bool, threads: int) -> Engine:
    """The engine in a process of the cluster, which sees its own GPU alone, or none and computes on `threads` threads.

    Ray limits processes that reserve no processor to one thread, and the bytes of a picture depend on the number.
    """
    if not gpu:
        generator.set_thread_count(threads)  # by its module, which loads torch at the first use
    return _engine(config, "cuda" if gpu else "cpu")


def _devices(config: Config) -> dict[str, str]:
    """Devices to generate on, by the names of their workers: all GPUs, unless config.yaml names one device."""
    devices = [config.device]
    if config.device in ("auto", "cuda"):
        gpus = [number for number, gpu in enumerate(look_at_machine().gpus) if gpu.supported]
        devices = [f"cuda:{number}" for number in gpus] if len(gpus) > 1 else devices
    places = [devices[number % len(devices)] for number in range(config.painters.count or len(devices))]
    return {
        device if number < len(devices) else f"{device}-{number // len(devices) + 1}": device
        for number, device in enumerate(places)
    }
