"""Let trials of results pass in every process of a rehearsal: kernels compute nothing, so no result is right."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType


def _without_comparison(module: ModuleType) -> None:
    trial = module._run_trial

    def run(device: object) -> None:
        try:
            trial(device)
        except RuntimeError as exc:
            if "away from torch's" not in str(exc):
                raise

    module._run_trial = run  # type: ignore[attr-defined]


def _always_finite(module: ModuleType) -> None:
    module._is_finite = lambda models, scale: True  # type: ignore[attr-defined]


_CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "generator.models.kernels.group_norm_silu": _without_comparison,
    "generator.optimisation.probing": _always_finite,
}


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name not in _CHANGES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            _CHANGES[name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder())
