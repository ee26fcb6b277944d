"""Typed schema of config.yaml: names, defaults, ranges and help. Frozen values; any thread.

Secrets are not part of it; bot.environment reads both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from bot.jobs import Layout
from generator import InvalidRequest, OwnModels, Settings, UpscalerSource, model_names

STYLE_NAME = re.compile(r"[\w][\w .'-]{0,31}")
WEB_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
MAX_STYLE_CHARACTERS = 300
MAX_RULE_CHARACTERS = 100


def _number(default: float, low: float, high: float, help_text: str) -> Any:  # noqa: ANN401 - dataclasses.field is Any too
    return field(default=default, metadata={"low": low, "high": high, "help": help_text})


def _choice(default: str, choices: tuple[str, ...], help_text: str, others: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
    """A choice between words; `others` maps further accepted forms to the patterns that they must match."""
    return field(default=default, metadata={"choices": choices, "help": help_text, "others": others or {}})


def _text(default: str, help_text: str) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a request; admins change them with /limits, roles can override them, `caps` bounds them."""

    queue_server: int = _number(100, 1, 10_000, "waiting jobs in one server")
    queue_user: int = _number(5, 1, 1_000, "unfinished jobs of one person in a server")
    running: int = _number(1, 1, 16, "jobs of one person that run at the same time; matters only with several workers")
    steps: int = _number(600, 1, 5_000, "maximum number of steps of a picture")
    size_px: int = _number(768, 32, 2_048, "longest side of a picture, in pixels")
    cutouts: int = _number(64, 1, 256, "maximum number of cutouts in a step")
    count: int = _number(4, 1, 4, "maximum number of pictures in one job")
    batch: int = _number(20, 0, 100, "maximum number of pictures asked for at once; 0 allows none")
    cooldown_s: int = _number(0, 0, 86_400, "seconds between two jobs of one person")
    daily: int = _number(200, 0, 100_000, "pictures of one person in a day (UTC); 0 means no limit")
    priority: int = _number(0, 0, 9, "above 0, jobs go before ordinary jobs of the same server; meant for roles")


@dataclass(frozen=True, kw_only=True)
class Caps:
    """Upper bounds for every server, regardless of its admins' settings."""

    queue_server: int = _number(1_000, 1, 10_000, "waiting jobs in one server")
    queue_user: int = _number(100, 1, 1_000, "unfinished jobs of one person in a server")
    queue_bot: int = _number(5_000, 1, 100_000, "waiting jobs in all servers together")
    running: int = _number(4, 1, 16, "jobs of one person that run at the same time")
    steps: int = _number(2_000, 1, 5_000, "maximum number of steps of a picture")
    size_px: int = _number(1_024, 32, 2_048, "longest side of a picture, in pixels")
    cutouts: int = _number(128, 1, 256, "maximum number of cutouts in a step")
    count: int = _number(4, 1, 4, "maximum number of pictures in one job")
    batch: int = _number(100, 0, 100, "maximum number of pictures asked for at once")
    daily: int = _number(0, 0, 100_000, "pictures of one person in a day (UTC); 0 means no limit")


@dataclass(frozen=True, kw_only=True)
class Personal:
    """Limits of people who use the bot without a server, with `install: everybody`; `limits` holds the others."""

    queue_all: int = _number(20, 1, 10_000, "waiting jobs of all these people together")
    queue_user: int = _number(2, 1, 1_000, "unfinished jobs of one of them")
    daily: int = _number(20, 0, 100_000, "pictures of one of them in a day (UTC); 0 means no limit")


@dataclass(frozen=True, kw_only=True)
class Discord:
    """Discord settings."""

    owners: list[int] = field(
        default_factory=list,
        metadata={"help": "ids of people who may use /host; the application's owner, or its whole team, always may"},
    )
    command_guilds: list[int] = field(
        default_factory=list,
        metadata={"help": "ids of the only servers that get the commands; empty means all servers"},
    )
    edit_interval_s: float = _number(4.0, 1.0, 60.0, "minimum seconds between two edits of one message")
    shards: int = _number(0, 0, 1_000, "number of connections (shards) to Discord; 0 lets Discord decide")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Intervals of recurring work, in seconds."""

    preview_s: float = _number(1.5, 0.05, 60.0, "interval between previews of the running picture")
    snapshot_s: float = _number(
        5.0, 0.05, 600.0, "interval between snapshots, from which the picture resumes after a crash"
    )
    stall_s: float = _number(900.0, 1.0, 86_400.0, "time without a step after which the worker counts as dead")
    access_s: float = _number(
        300.0, 1.0, 86_400.0, "interval between attempts to post in a channel that the bot cannot write to"
    )
    access_give_up_s: float = _number(604_800.0, 60.0, 31_536_000.0, "time after which the bot gives up such a post")
    retention_s: float = _number(3_600.0, 1.0, 86_400.0, "interval between checks for expired pictures")


@dataclass(frozen=True, kw_only=True)
class Safety:
    """Treatment of unsafe pictures outside age-restricted channels."""

    mode: str = _choice(
        "spoiler",
        ("off", "spoiler", "refuse"),
        "initial handling of flagged pictures in every server; /safety changes it",
    )
    threshold: float = _number(
        0.6, 0.0, 1.0, "certainty of the check from which a picture is flagged; /safety changes it in a server"
    )


@dataclass(frozen=True, kw_only=True)
class Log:
    """Logging to standard error."""

    level: str = _choice("info", ("debug", "info", "warning", "error"), "lowest level of messages that are logged")
    format: str = _choice("text", ("text", "json"), "plain lines, or one JSON object per line")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Prometheus metrics."""

    host: str = _text("127.0.0.1", "address to serve them at; everyone who can reach it can read them")
    port: int = _number(0, 0, 65_535, "port; 0 turns metrics off")


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Web galleries of the servers whose admins make a link."""

    host: str = _text("127.0.0.1", "address to serve them at")
    port: int = _number(0, 0, 65_535, "port; 0 turns web galleries off")
    address: str = _text("", "public address in the links, such as https://pictures.example.org; empty is HOST:PORT")

    @property
    def public_address(self) -> str:
        """The address before the secret of a link, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.address.rstrip("/") or f"http://{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class ModelSets:
    """Model sets for pictures; a single name in place of this section is `default`."""

    default: str = _text("starter", "the usual model set; `python -m generator models` lists all")
    offered: list[str] = field(
        default_factory=list, metadata={"help": "further model sets that people may choose with /imagine model:"}
    )


LOCAL = "local"
"""The address of a cluster that the bot starts on its own machine."""


@dataclass(frozen=True, kw_only=True)
class Painters:
    """Workers that generate pictures; a single word in place of this section is `kind`."""

    kind: str = _choice(
        "local", ("local", "ray"), "where pictures are painted: threads of the bot's process, or a Ray cluster"
    )
    count: int = _number(0, 0, 64, "number of workers of this machine; 0 is one for each GPU, or one on the CPU")
    address: str = _text(LOCAL, "with ray: local starts a cluster on this machine; else the address of one")
    silence_s: float = _number(30.0, 1.0, 600.0, "with ray: time without an answer after which a worker is given up")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Validated config.yaml: every instance has values of the right type and in range."""

    models: ModelSets = field(
        default_factory=ModelSets, metadata={"help": "model sets for pictures", "short": "default"}
    )
    device: str = _choice(
        "auto",
        ("auto", "cpu", "cuda"),
        "the device to run on; cuda:1 is the second GPU",
        {"cuda:N": r"cuda:(0|[1-9]\d?)"},
    )
    precision: str = _choice(
        "auto",
        ("auto", "fp32", "bf16", "fp16"),
        "number format of the networks; auto is the best that the device supports",
    )
    gpu_memory_share: float = _number(1.0, 0.1, 1.0, "share of the GPU's memory that Reverie may use")
    gpu_fall_back_to_cpu: bool = field(
        default=False, metadata={"help": "continue on the CPU if the GPU fails while the bot runs"}
    )
    vqgan: str = _text("", "checkpoint of your own VQGAN, instead of a model set; requires vqgan_config")
    vqgan_config: str = _text("", "the yaml file of that VQGAN, in the format of taming-transformers")
    perceptors: list[str] = field(
        default_factory=list,
        metadata={"help": "CLIP or SigLIP models, by name or file, instead of those of the model set"},
    )
    upscaler: str = _text("", "network that can enlarge finished pictures, by name or file")
    digests: dict[str, str] = field(
        default_factory=dict, metadata={"help": "required SHA-256 of model files, by file name"}
    )
    painters: Painters = field(
        default_factory=Painters, metadata={"help": "workers that generate pictures", "short": "kind"}
    )
    data: str = _text("data", "folder for everything the bot writes; the variable REVERIE_DATA takes precedence")
    language: str = _choice("en", ("en", "de"), "language of messages for a whole server")
    install: str = _choice(
        "server",
        ("server", "everybody"),
        "who may install the bot: servers, or also people for themselves",
    )
    messages: str = _choice(
        "components",
        ("components", "classic"),
        "form of the messages with pictures: Discord's components, or text with an embed as before",
    )
    generator: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "default settings of every picture, by the generator's names"}
    )
    limits: Limits = field(default_factory=Limits, metadata={"help": "initial limits of every server"})
    caps: Caps = field(default_factory=Caps, metadata={"help": "upper bounds that no server can exceed"})
    personal: Personal = field(
        default_factory=Personal, metadata={"help": "limits of people who use the bot without a server"}
    )
    discord: Discord = field(default_factory=Discord, metadata={"help": "Discord settings"})
    timing: Timing = field(default_factory=Timing, metadata={"help": "intervals and timeouts, in seconds"})
    safety: Safety = field(default_factory=Safety, metadata={"help": "handling of flagged pictures"})
    retention_days: int = _number(90, 0, 3_650, "days after which pictures are deleted; 0 means never")
    styles: dict[str, str] = field(default_factory=dict, metadata={"help": "named prompt snippets for every server"})
    blocklist: list[str] = field(
        default_factory=list,
        metadata={"help": "words and phrases forbidden in prompts; * matches any letters within the same word"},
    )
    log: Log = field(default_factory=Log, metadata={"help": "logging to standard error"})
    metrics: Metrics = field(default_factory=Metrics, metadata={"help": "metrics for Prometheus"})
    gallery: Gallery = field(default_factory=Gallery, metadata={"help": "web galleries of the servers"})

    def __post_init__(self) -> None:
        for key, item, value in values_of(self):
            _check(key, item, value)
        for key, host in (("metrics.host", self.metrics.host), ("gallery.host", self.gallery.host)):
            if not host.strip():
                # The network libraries would read it as every address of the machine.
                raise ConfigError("config_out_of_range", key=key, allowed="an address, such as 127.0.0.1")
        if self.gallery.address and not WEB_ADDRESS.fullmatch(self.gallery.address):
            allowed_here = "an address, such as https://pictures.example.org"
            raise ConfigError("config_out_of_range", key="gallery.address", allowed=allowed_here)
        self.settings_over(Settings())
        if not set(self.models.offered) <= set(model_names()):
            raise ConfigError("config_out_of_range", key="models.offered", allowed=", ".join(model_names()))
        for name, text in self.styles.items():
            if not STYLE_NAME.fullmatch(name) or not 0 < len(text.strip()) <= MAX_STYLE_CHARACTERS:
                raise ConfigError("config_style", key=f"styles.{name[:40]}", most=MAX_STYLE_CHARACTERS)
        for number, rule in enumerate(self.blocklist):
            if not 0 < len(rule.strip(" *")) <= MAX_RULE_CHARACTERS:
                raise ConfigError("config_rule", key=f"blocklist[{number}]", most=MAX_RULE_CHARACTERS)
        for item in fields(self.caps):
            cap, value = getattr(self.caps, item.name), getattr(self.limits, item.name, None)
            if value is not None and not within_cap(item.name, value, cap):
                raise ConfigError("config_over_cap", key=f"limits.{item.name}", cap=cap)

    @property
    def own_models(self) -> OwnModels | None:
        """The model files named here; None if there are none.

        Raises:
            InvalidRequest: if they contradict each other, or a file is missing; the sentence names the key.
        """
        vqgan, its_yaml = (Path(text).expanduser() if text else None for text in (self.vqgan, self.vqgan_config))
        return OwnModels.of(self.models.default, vqgan, its_yaml, self.perceptors, self.digests)

    @property
    def upscaler_source(self) -> UpscalerSource | None:
        """The upscaler named here; None if there is none.

        Raises:
            InvalidRequest: if it does not exist, or its package is not installed.
        """
        return UpscalerSource.of(self.upscaler, self.digests) if self.upscaler else None

    @property
    def upscaler_name(self) -> str | None:
        """Name of the upscaler in recipes; None if there is none."""
        return UpscalerSource.name_of(self.upscaler) if self.upscaler else None

    @property
    def for_everybody(self) -> bool:
        """True if people may install the bot for themselves."""
        return self.install == "everybody"

    @property
    def layout(self) -> Layout:
        """Form of the messages of new jobs."""
        return Layout(self.messages)

    @property
    def model_name(self) -> str:
        """Name of the usual models in recipes."""
        return OwnModels.name_for(Path(self.vqgan)) if self.vqgan else self.models.default

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of all models that pictures may be made with; the usual ones first."""
        return tuple(dict.fromkeys((self.model_name, *self.models.offered)))

    def settings_over(self, suggested: Settings) -> Settings:
        """Default settings of a picture: the models' suggestions, overridden by `generator`.

        Raises:
            ConfigError: naming the key under `generator`.
        """
        try:
            settings = suggested.merged({str(name): value for name, value in self.generator.items()})
        except InvalidRequest as exc:
            key = f"generator.{exc.field}" if exc.field else "generator"
            raise ConfigError("config_generator", key=key, allowed=str(exc)) from exc
        if settings.start in ("init", "parent"):
            raise ConfigError("config_start", key="generator.start")
        return settings

    def starts_over(self, starts: Mapping[str, Mapping[str, object]]) -> Mapping[str, Mapping[str, object]]:
        """The models' suggestions for each start, without the settings that `generator` fixes."""
        return {
            start: {name: value for name, value in changes.items() if name not in self.generator}
            for start, changes in starts.items()
        }


def within_cap(name: str, value: int, cap: int) -> bool:
    """Check a limit against the host's cap; for `daily`, 0 means unlimited on both sides."""
    if name != "daily":
        return value <= cap
    return cap == 0 or 0 < value <= cap


def values_of(section: object, prefix: str = "") -> Iterator[tuple[str, Field[Any], Any]]:
    """Every full key of a section and its subsections (`limits.steps`), with its field and value."""
    for item in fields(section):  # type: ignore[arg-type]  # called with dataclasses only
        value = getattr(section, item.name)
        if is_dataclass(value):
            yield from values_of(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", item, value


def allowed(item: Field[Any]) -> str:
    """The allowed values of a key, in a few words."""
    if "choices" in item.metadata:
        return ", ".join((*item.metadata["choices"], *item.metadata["others"]))
    if "low" in item.metadata:
        kind = "a whole number" if item.type == "int" else "a number"
        return f"{kind} from {item.metadata['low']:g} to {item.metadata['high']:g}"
    return {"str": "text", "bool": "true or false", "list[int]": "a list of ids", "list[str]": "a list of texts"}.get(
        str(item.type), "a mapping"
    )


def _check(key: str, item: Field[Any], value: Any) -> None:  # noqa: ANN401 - any value that YAML can hold
    choices, low = item.metadata.get("choices"), item.metadata.get("low")
    if (
        choices is not None
        and value not in choices
        and not any(re.fullmatch(pattern, value) for pattern in item.metadata["others"].values())
    ):
        raise ConfigError("config_out_of_range", key=key, allowed=allowed(item))
    if low is not None and not low <= value <= item.metadata["high"]:
        raise ConfigError("config_out_of_range", key=key, allowed=allowed(item))
    texts = value.values() if item.type == "dict[str, str]" else value if item.type == "list[str]" else ()
    if not all(isinstance(text, str) for text in texts):
        raise ConfigError("config_out_of_range", key=key, allowed=allowed(item))
    if item.type == "list[int]" and not all(0 < number < 2**63 for number in value):
        raise ConfigError("config_out_of_range", key=key, allowed=allowed(item))
