"""Load model sets: a VQGAN, one or several perceptors and an optional prior. Worker thread.

The starter is in the folder `starter` beside this module:

- `starter.yaml`: `perceptor` (its name), `prior` (`network`: the arguments of PriorNetwork, `temperature`, `top_k`),
  `defaults`, settings that suit these models, and optional `examples`, prompts that they paint well;
- `vqgan.yaml`, `vqgan.safetensors`: a VQGAN in taming's form;
- `clip.safetensors`: a CLIP's state dict with a pruned vocabulary, see `Perceptor.from_state`;
- `prior.safetensors`: the state dict of a PriorNetwork;
- `drawings.safetensors`: see generator.models.drawings.stored;
- `lexicon.json`: the arguments of Lexicon.
- `languages/`: optional dictionaries of generator.models.language.translation; with `people.txt`, names not drawn.

Weights are fp16 on disk and fp32 in memory, unless the device computes in half precision
(`generator.runtime.precision`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from torch import Tensor, nn
from yaml import YAMLError  # type: ignore[import-untyped]  # ships no types

from generator.checkpoints.digests import sha256_of
from generator.checkpoints.library import OpenedSet, open_set
from generator.checkpoints.sources import PREFIX, OwnModels
from generator.checkpoints.upscalers import UpscalerSource
from generator.errors import CheckpointError, InvalidRequest, OutOfMemory
from generator.messages import Message
from generator.models.clip import Perceptor, is_one_token
from generator.models.drawings.prototypes import Prototypes
from generator.models.drawings.stored import StoredDrawings
from generator.models.language.reading import Reader
from generator.models.language.translation import Translator
from generator.models.lexicon import Lexicon
from generator.models.model_set import Models
from generator.models.prior import Prior, PriorNetwork
from generator.models.vqgan import VQGAN
from generator.optimisation.probing import settle_precision
from generator.runtime.device import cap_memory, choose_device, device_context, unfilled_weights
from generator.runtime.graphs import CudaRecorder, Recorder
from generator.runtime.memory import MemoryBudget
from generator.runtime.precision import choose_precision
from generator.settings import FOR_LOSSES, Settings

STARTER = Path(__file__).parent / "starter"


def load_models(
    name: str = "starter",
    device: str = "auto",
    *,
    own: OwnModels | None = None,
    precision: str = "auto",
    memory_share: float = 1.0,
    graphs: bool = True,
    upscaler: UpscalerSource | None = None,
) -> Models:
    """Load a model set by name (the starter, or one of `generator.checkpoints.catalogue`), or a person's own files.

    `precision` is one of `generator.provenance.PRECISIONS`; `memory_share` is how much of a GPU's memory may be used;
    with `graphs` a GPU runs steps and prior as CUDA graphs. The upscaler, if any, is loaded first.

    Raises:
        CheckpointError: if a file is missing, broken or does not fit; the message names it.
        InvalidRequest: for an unknown model set, device or precision.
        OutOfMemory: if the models do not fit.
        DeviceFailed: if the GPU fails.
    """
    if own is None and name.startswith(PREFIX):
        text = (
            "{models} are somebody's own files; name them with --vqgan and --vqgan-config, and --perceptor if need be."
        )
        raise InvalidRequest(Message(text, models=name[:64]), "models")
    chosen = choose_device(device)
    enlarger = None if upscaler is None else upscaler.load(chosen)
    opened = None if own is None and name == "starter" else open_set(name) if own is None else own.open(name)
    try:
        with device_context(chosen, exact=False):
            wanted = choose_precision(precision, chosen)
            cap_memory(chosen, memory_share)
            models = load_starter(STARTER, chosen, graphs) if opened is None else load_opened(opened, chosen)
            models = settle_precision(models, wanted)
    except OutOfMemory as exc:
        text = "The models {models} do not fit into the free memory; end other programs that use it, or choose others."
        raise OutOfMemory(Message(text, models=name if opened is None else opened.name)) from exc
    return replace(models, budget=MemoryBudget.of(chosen, memory_share), graphs=graphs, upscaler=enlarger)


def load_opened(opened: OpenedSet, device: torch.device) -> Models:
    """Build models, without a prior, from weights that `generator.checkpoints.library` opened.

    Raises:
        CheckpointError: if they do not fit.
    """
    vqgan = _vqgan(opened.config, _as_fp32(opened.vqgan), f"The VQGAN {opened.name}", device)
    perceptors = tuple(
        Perceptor.from_state(name, _as_fp32(state), device, config=config) for name, state, config in opened.perceptors
    )
    return Models(opened.name, vqgan, perceptors, None, device, {}, opened.files)


def load_starter(folder: Path, device: torch.device, graphs: bool = True) -> Models:
    """Load a folder in the starter's layout; with `graphs` a GPU runs its prior as a CUDA graph.

    Raises:
        CheckpointError: if a file is missing, broken or does not fit; the message names it.
    """
    config = read_yaml(folder / "starter.yaml")
    vqgan = load_vqgan(folder / "vqgan.yaml", folder / "vqgan.safetensors", device)
    try:
        perceptor_name, defaults = str(config.perceptor), OmegaConf.to_container(config.defaults)
        starts = cast("dict[str, dict[str, object]]", OmegaConf.to_container(config.starts))
        examples = tuple(map(str, config.get("examples", ())))
        Settings().merged(cast("dict[str, object]", defaults))
        for start, changes in starts.items():
            Settings().merged(changes if start == FOR_LOSSES else {"start": start, **changes})
    except (OmegaConfBaseException, InvalidRequest, TypeError, ValueError, AttributeError) as exc:
        raise CheckpointError(f"{folder / 'starter.yaml'} is not complete: {exc}") from exc
    lexicon = _read_lexicon(folder / "lexicon.json")
    clip = read_tensors(folder / "clip.safetensors")
    perceptor = Perceptor.from_state(perceptor_name, clip, device, lexicon.words)
    recorder = CudaRecorder(device) if graphs and device.type == "cuda" else None
    prior = _load_prior(folder, config, vqgan, lexicon, recorder)
    files = {path.name: sha256_of(path) for path in sorted(folder.glob("*.safetensors"))}
    reader = _load_reader(folder, lexicon)
    defaults = cast("dict[str, object]", defaults)
    models = Models("starter", vqgan, (perceptor,), prior, device, defaults, files, starts, reader=reader)
    path = folder / "prototypes.npz"
    prototypes = Prototypes.read(path) if path.exists() else None
    return replace(models, things=lexicon.things, examples=examples, prototypes=prototypes)


def _load_reader(folder: Path, lexicon: Lexicon) -> Reader | None:
    """Read the dictionaries of a model folder; None if it has none."""
    languages, people = folder / "languages", folder / "people.txt"
    if not languages.is_dir():
        return None
    try:
        names = people.read_text(encoding="utf-8").split("\n") if people.exists() else []
        return Reader(lexicon, Translator.read(languages), filter(None, names), is_one_token)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CheckpointError(f"{languages} is damaged ({exc}); get it again from where Reverie came from.") from exc


def load_vqgan(config: Path, weights: Path, device: torch.device) -> VQGAN:
    """Load a VQGAN from taming's yaml and safetensors, frozen.

    Raises:
        CheckpointError: if a file is missing, broken or does not fit; the message names it.
    """
    parsed, tensors = read_yaml(config), read_tensors(weights)
    try:
        return _vqgan(parsed, tensors, str(weights), device)
    except CheckpointError as exc:
        raise CheckpointError(f"{exc} The yaml is {config}.") from exc


def _vqgan(config: DictConfig, tensors: Mapping[str, Tensor], what: str, device: torch.device) -> VQGAN:
    """Build without random weights, which would be held twice."""
    with unfilled_weights():
        vqgan = VQGAN(config)
    _fill(vqgan, tensors, what, assign=True)
    return vqgan.eval().requires_grad_(False).to(device)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file by name, floating ones as fp32.

    Raises:
        CheckpointError: if the file is missing or broken.
    """
    try:
        tensors = safetensors.torch.load_file(path)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing; get it again from where Reverie came from.") from exc
    except (SafetensorError, OSError, ValueError) as exc:
        raise CheckpointError(f"{path} is damaged ({exc}); get it again from where Reverie came from.") from exc
    return _as_fp32(tensors)


def _as_fp32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert floating tensors to fp32; always copies: truncating a mapped file later would crash the process."""
    kinds = {name: torch.float32 if tensor.is_floating_point() else tensor.dtype for name, tensor in tensors.items()}
    return {name: tensor.to(kinds[name], copy=True) for name, tensor in tensors.items()}


def read_yaml(path: Path) -> DictConfig:
    """Read a yaml file whose top level is a mapping.

    Raises:
        CheckpointError: if the file is missing or something else.
    """
    try:
        config = OmegaConf.load(path)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing; get it again from where Reverie came from.") from exc
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as exc:
        raise CheckpointError(f"{path} cannot be read as yaml: {exc}") from exc
    if not isinstance(config, DictConfig):
        raise CheckpointError(f"{path} holds no mapping at its top level.")
    return config


def _load_prior(folder: Path, config: DictConfig, vqgan: VQGAN, lexicon: Lexicon, recorder: Recorder | None) -> Prior:
    tensors = read_tensors(folder / "prior.safetensors")
    try:
        with torch.random.fork_rng(devices=[]):  # its random initialisation is not used
            network = PriorNetwork(**cast("dict[str, Any]", OmegaConf.to_container(config.prior.network)))
        temperature, top_k = float(config.prior.temperature), int(config.prior.top_k)
    except (OmegaConfBaseException, TypeError, ValueError, ZeroDivisionError, AssertionError, AttributeError) as exc:
        raise CheckpointError(f"{folder / 'starter.yaml'} describes no prior: {exc}") from exc
    drawings = StoredDrawings.read(folder / "drawings.safetensors")
    if len(drawings) < len(lexicon.names):
        raise CheckpointError(f"{folder} has fewer drawings than lexicon.json has names: install Reverie again.")
    _fill(network, tensors, str(folder / "prior.safetensors"))
    network = network.eval().requires_grad_(False).to(vqgan.codebook.device)
    return Prior(network, vqgan, lexicon, drawings, temperature, top_k, recorder)


def _read_lexicon(path: Path) -> Lexicon:
    try:
        return Lexicon(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing; get it again from where Reverie came from.") from exc
    except (OSError, TypeError, ValueError, AttributeError, IndexError) as exc:
        raise CheckpointError(f"{path} is damaged ({exc}); get it again from where Reverie came from.") from exc


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], what: str, assign: bool = False) -> None:
    try:
        module.load_state_dict(tensors, assign=assign)
    except RuntimeError as exc:
        raise CheckpointError(f"{what} does not fit its configuration: {exc}") from exc
