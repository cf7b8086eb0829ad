"""Everything that decides the shapes of a world model's weights, free of torch.

``to_dict``/``from_dict`` store it in a checkpoint by its ``kind``, so that a file can never name code to import.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from videosim.captions import vocabulary
from videosim.errors import VideoSimError


@dataclass
class TokenizerConfig:
    """Base of every tokenizer configuration."""

    kind: str = ""


@dataclass
class ConvTokenizerConfig(TokenizerConfig):
    """Strided convolutions to a grid of continuous tokens bounded by tanh, and to the places of keypoints."""

    kind: str = "conv"  # conv, kl or fsq; another kind brings its own settings
    channels: int = 8  # numbers per token
    keypoints: int = 16  # places in the picture, two numbers each, that follow the grid as further tokens
    widths: list[int] = field(default_factory=lambda: [16, 32, 48, 64])  # channels after each halving of the frame
    moving_weight: float = 20.0  # extra loss weight per unit of |frame - background|, at most 1
    sensor_weight: float = 1.0  # loss weight of reading the sensors off two consecutive frames' latents


@dataclass
class FsqTokenizerConfig(ConvTokenizerConfig):
    """The same network with every number rounded to one of a few values: discrete tokens."""

    kind: str = "fsq"  # conv, kl or fsq; another kind brings its own settings
    keypoints: int = 0  # rounded, a place is no finer than a cell
    levels: int = 15  # values that a number may take


@dataclass
class KlTokenizerConfig(ConvTokenizerConfig):
    """The same network, not bounded: a Gaussian posterior for every number, whose mean is the token."""

    kind: str = "kl"  # conv, kl or fsq; another kind brings its own settings
    kl_weight: float = 1e-3  # loss weight of a number's mean divergence from the unit Gaussian, in nats


@dataclass
class TextConfig:
    """Base of every configuration of what reads a text."""

    kind: str = ""


@dataclass
class NoTextConfig(TextConfig):
    """No text."""

    kind: str = "none"  # none, words or wordllama; another kind brings its own settings


@dataclass
class ReaderConfig(TextConfig):
    """A small transformer that is trained with the model: what its kinds share."""

    size: int = 64  # numbers of a word
    layers: int = 2
    heads: int = 4  # of each attention
    unsaid: float = 0.3  # share of the clips that training shows without words
    alone: float = 0.5  # share of the others of which it shows nothing but the words


@dataclass
class WordsConfig(ReaderConfig):
    """Over the words of the captions."""

    kind: str = "words"  # none, words or wordllama; another kind brings its own settings
    words: list[str] = field(default_factory=vocabulary)  # that it knows: those of all captions


@dataclass
class WordLlamaConfig(ReaderConfig):
    """Over the frozen vectors of any text's pieces of words, which come with the package wordllama."""

    kind: str = "wordllama"  # none, words or wordllama; another kind brings its own settings


@dataclass
class DynamicsConfig:
    """Base of every dynamics configuration."""

    kind: str = ""
    painter: int = 0  # channels of what paints the picture of a dream from its physical state; 0: the core paints
    products: int = 128  # of sensors and actions that what moves the physical state is shown; 0: none
    transition_hidden: int = 0  # width of what moves it; 0: hidden
    filter_hidden: int = 0  # width of what reads it off frames; 0: hidden


@dataclass
class RecurrentConfig(DynamicsConfig):
    """Deterministic recurrent core: one pass a step, a state of constant size."""

    kind: str = "recurrent"  # recurrent, flow or masked; another kind brings its own settings
    painter: int = 48  # channels of what paints the picture of a dream from its physical state; 0: the core paints
    memory: int = 256  # numbers of the recurrent state
    hidden: int = 256  # width of the other layers
    discount: float = 0.98  # loss weight of the open-loop steps: 1, discount, discount**2, …
    input_noise: float = 0.02  # standard deviation added to the standardised latents that training absorbs
    state_weight: float = 20.0  # loss weight of what the frames say about the sensors, beside the latents' error


@dataclass
class SpaceTimeConfig(DynamicsConfig):
    """Transformer over spacetime patches that makes a frame in a few passes: what its kinds share."""

    width: int = 128  # numbers of a token inside the transformer
    layers: int = 4  # blocks of attention
    heads: int = 4  # of each attention
    time_every: int = 2  # one block in so many has attention over time
    attention: str = "frame"  # of all others: inside the frame, or inside windows with a 3-D convolution before them
    window: int = 2  # tokens on a side of such a window
    span: int = 4  # frames that it reaches over
    past: int = 16  # frames that a frame looks back on
    patch: int = 2  # cells on a side of the latents' grid that make one token
    registers: int = 2  # tokens of a frame without a place; the first sums it up
    hidden: int = 256  # width of what reads the physical state off frames and of what moves it, where they have none
    guess: int = 48  # channels of what paints a frame to begin with from that state; 0: the frame before serves
    course: int = 96  # width of what makes the physical states of a whole clip, before its pictures
    steps: int = 1  # passes that make a frame
    guidance: float = 0.0  # how far a frame is moved away from what it would be without the action
    dropped: float = 0.1  # share of the actions that training hides, for guidance
    joint: float = 0.0  # steps about whole clips, every frame of which looks at all, for each of the others
    untold: float = 0.5  # share of those clips that are told no action at all
    text: Any = field(default_factory=NoTextConfig)  # what reads a text about such a clip
    input_noise: float = 0.05  # standard deviation added to the latents that training absorbs


@dataclass
class FlowConfig(SpaceTimeConfig):
    """Flow matching: from noise to a frame in steps of any size."""

    kind: str = "flow"  # recurrent, flow or masked; another kind brings its own settings
    finest: int = 32  # steps of the longest way that training knows, a power of two
    shortcut: float = 0.25  # share of a batch that teaches longer steps


@dataclass
class MaskedConfig(SpaceTimeConfig):
    """Masked generation of discrete tokens; needs the tokenizer ``fsq``."""

    kind: str = "masked"  # recurrent, flow or masked; another kind brings its own settings
    temperature: float = 0.0  # of drawing a value from its distribution; 0: the most probable


@dataclass
class HeadsConfig:
    """What reads reward, termination and uncertainty off the states of any dynamics."""

    hidden: int = 128  # width of the layers of reward and termination; the ensemble has half
    state: int = 128  # width of what reads both off the physical state alone, before the picture is asked; 0: nothing
    members: int = 5  # ensemble size behind ``uncertainty``


@dataclass
class ModelConfig:
    """Everything that decides the shapes of a world model's weights."""

    tokenizer: Any = field(default_factory=ConvTokenizerConfig)
    dynamics: Any = field(default_factory=RecurrentConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    max_action_size: int = 8  # numbers of the longest action the model can take
    embodiments: int = 1  # kinds of body that share the model, each with an embedding of its own


_TEXTS = (NoTextConfig, WordsConfig, WordLlamaConfig)
_CONFIGS = (
    ConvTokenizerConfig,
    FsqTokenizerConfig,
    KlTokenizerConfig,
    RecurrentConfig,
    FlowConfig,
    MaskedConfig,
    *_TEXTS,
)
KINDS: dict[str, type] = {config.kind: config for config in _CONFIGS}


def to_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as plain JSON types."""
    return asdict(config)


def from_dict(cls: type, data: dict[str, Any]) -> Any:
    """Build ``cls`` from ``to_dict``'s output. A dict with a ``kind`` becomes the class registered for it.

    Raises VideoSimError on an unknown kind, an unknown key or a missing mapping.
    """
    if not isinstance(data, dict):
        raise VideoSimError(f"{cls.__name__} needs a mapping of settings, not {type(data).__name__}")
    if "kind" in data:
        if data["kind"] not in KINDS:
            raise VideoSimError(f"unknown kind {data['kind']!r}; this version of videosim knows {sorted(KINDS)}")
        cls = KINDS[data["kind"]]
    known = {f.name: f for f in fields(cls)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise VideoSimError(f"{cls.__name__} has no setting {unknown[0]!r}; it has {sorted(known)}")
    values = {}
    for name, value in data.items():
        if name in ("tokenizer", "dynamics", "text") and isinstance(value, dict) and "kind" not in value:
            raise VideoSimError(f"the {name} settings name no kind; this version of videosim knows {sorted(KINDS)}")
        if isinstance(value, dict) and ("kind" in value or name == "heads"):
            value = from_dict(HeadsConfig, value)
        values[name] = value
    return cls(**values)
