"""What reads a text: sentences become one vector each, which a core of whole clips takes as a token.

"" stands for nothing said. Knows no frames and no worlds.
"""

from __future__ import annotations

import difflib
import functools
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from videosim.captions.words import words_of
from videosim.data.extras import needed
from videosim.errors import VideoSimError
from videosim.model_config import NoTextConfig, ReaderConfig, TextConfig, WordLlamaConfig, WordsConfig

LONGEST = 32  # words of a sentence, articles not counted
MOST_PIECES, PIECE_WIDTH = 64, 256  # of a sentence, and numbers of one
PADDING, BEGINNING, FIRST = 0, 1, 2  # numbers of no word, of what sums the sentence up, and of the first word


class TextEncoder(nn.Module, ABC):
    """``unsaid``: the share of the clips that training shows without words; ``alone``: the share of the others of which
    it shows nothing but the words, no frame and no action."""

    unsaid: float
    alone: float

    @abstractmethod
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Sentences, B of them, as ``(B, width)``. Raises VideoSimError on one that cannot be read."""


class Reader(TextEncoder):
    """A transformer over vectors (Vaswani et al. 2017, section 3.1, norms first); the first of them, which stands
    before the first word, sums the others up."""

    def __init__(self, config: ReaderConfig, longest: int, width: int) -> None:
        super().__init__()
        if min(config.size, config.layers, config.heads) < 1 or config.size % config.heads:
            raise VideoSimError(
                "model.dynamics.text.size, layers and heads are whole numbers from 1, size a multiple of heads; got "
                f"{config.size}, {config.layers} and {config.heads}"
            )
        self.unsaid, self.alone, self.longest = config.unsaid, config.alone, longest
        self.place = nn.Embedding(1 + longest, config.size)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.size, config.heads, 2 * config.size, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )
        self.out = nn.Sequential(nn.LayerNorm(config.size), nn.Linear(config.size, width))

    def forward(self, texts: Sequence[str]) -> Tensor:
        sentences = [self._numbered(text) for text in texts]
        length = max(map(len, sentences))
        if length > 1 + self.longest:
            raise VideoSimError(f"a text has at most {self.longest} words and marks, articles not counted; shorten it")
        device = self.place.weight.device
        numbers = torch.tensor([own + [PADDING] * (length - len(own)) for own in sentences], device=device)
        absent = torch.tensor([[at >= len(own) for at in range(length)] for own in sentences], device=device)
        x = self._vectors(numbers) + self.place.weight[:length]
        for block in self.blocks:
            x = block(x, src_key_padding_mask=absent)
        return self.out(x[:, 0])

    @abstractmethod
    def _numbered(self, text: str) -> list[int]:
        """The numbers of the beginning and of what follows."""

    @abstractmethod
    def _vectors(self, numbers: Tensor) -> Tensor:
        """``(B, L, size)`` of numbers ``(B, L)``."""


class WordEncoder(Reader):
    """Over the words it knows."""

    def __init__(self, config: WordsConfig, width: int) -> None:
        super().__init__(config, LONGEST, width)
        self.known = list(config.words)
        if not all(isinstance(word, str) for word in self.known) or len(set(self.known)) < len(self.known):
            raise VideoSimError("model.dynamics.text.words are texts, each there once")
        self.numbers = {word: FIRST + number for number, word in enumerate(self.known)}
        self.word = nn.Embedding(FIRST + len(self.known), config.size)

    def _numbered(self, text: str) -> list[int]:
        words = words_of(text)
        if text and not words:
            raise VideoSimError(
                f"the text {text!r} has no word that counts; say what is to be seen, or leave text= out"
            )
        for word in words:
            if word not in self.numbers:
                near = (
                    difflib.get_close_matches(word, self.known, 3, 0.6) or self.known[:: max(1, len(self.known) // 12)]
                )
                raise VideoSimError(
                    f"this checkpoint does not know the word {word!r}; it knows {len(self.known)}, among them "
                    f"{', '.join(word for word in near if word != ',')}"
                )
        return [BEGINNING, *(self.numbers[word] for word in words)]

    def _vectors(self, numbers: Tensor) -> Tensor:
        return self.word(numbers)


class PieceEncoder(Reader):
    """Over the frozen vectors of pieces of words, of any text. The vectors are no part of a checkpoint; VideoSimError
    where their package is not installed, as soon as something is to be read."""

    def __init__(self, config: WordLlamaConfig, width: int) -> None:
        super().__init__(config, MOST_PIECES, width)
        self.inward = nn.Linear(PIECE_WIDTH, config.size)

    def _numbered(self, text: str) -> list[int]:
        return list(_frozen()[0](text))

    def _vectors(self, numbers: Tensor) -> Tensor:
        return self.inward(_frozen()[1][numbers.cpu()].to(numbers.device))


@functools.cache
def _frozen() -> tuple[Callable[[str], list[int]], Tensor]:
    """What turns a text into pieces, their numbers, a beginning first, and all pieces' vectors ``(P, 256)``. Nothing is
    downloaded."""
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)  # the package would set up the logging of the whole process
    try:
        package = needed("wordllama", "text")
    finally:
        root.removeHandler(silent)
    own = Path(str(package.__file__)).parent  # its files lie there; it would look for some of them elsewhere
    model = package.WordLlama.load(cache_dir=own, disable_download=True)
    return lambda text: model.tokenizer.encode(text).ids, torch.from_numpy(model.embedding)


def build_text(config: TextConfig, width: int) -> TextEncoder | None:
    """The encoder that ``config.kind`` names, to vectors of ``width``; None for ``none``. Raises VideoSimError on
    another kind."""
    if isinstance(config, NoTextConfig):
        return None
    if isinstance(config, WordsConfig):
        return WordEncoder(config, width)
    if isinstance(config, WordLlamaConfig):
        return PieceEncoder(config, width)
    raise VideoSimError(f"unknown kind of text {getattr(config, 'kind', config)!r}; known: none, words, wordllama")
