"""What reads a text: sentences become one vector each, which a core of whole clips takes as a token.

"" stands for nothing said. Knows no frames and no worlds.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from videosim.captions.words import words_of
from videosim.errors import VideoSimError
from videosim.model_config import NoTextConfig, TextConfig, WordsConfig

LONGEST = 32  # words of a sentence, articles not counted
PADDING, BEGINNING, FIRST = 0, 1, 2  # numbers of no word, of what sums the sentence up, and of the first word


class TextEncoder(nn.Module, ABC):
    """``unsaid``: the share of the clips that training shows without words; ``alone``: the share of the others of which
    it shows nothing but the words, no frame and no action."""

    unsaid: float
    alone: float

    @abstractmethod
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Sentences, B of them, as ``(B, width)``. Raises VideoSimError on one that cannot be read."""


class WordEncoder(TextEncoder):
    """A transformer over the words it knows (Vaswani et al. 2017, section 3.1, norms first); what stands before the
    first word sums them up."""

    def __init__(self, config: WordsConfig, width: int) -> None:
        super().__init__()
        self.unsaid, self.alone, self.known = config.unsaid, config.alone, list(config.words)
        if not all(isinstance(word, str) for word in self.known) or len(set(self.known)) < len(self.known):
            raise VideoSimError("model.dynamics.text.words are texts, each there once")
        if min(config.size, config.layers, config.heads) < 1 or config.size % config.heads:
            raise VideoSimError(
                "model.dynamics.text.size, layers and heads are whole numbers from 1, size a multiple of heads; got "
                f"{config.size}, {config.layers} and {config.heads}"
            )
        self.numbers = {word: FIRST + number for number, word in enumerate(self.known)}
        self.word = nn.Embedding(FIRST + len(self.known), config.size)
        self.place = nn.Embedding(1 + LONGEST, config.size)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.size, config.heads, 2 * config.size, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )
        self.out = nn.Sequential(nn.LayerNorm(config.size), nn.Linear(config.size, width))

    def forward(self, texts: Sequence[str]) -> Tensor:
        sentences = [[BEGINNING, *self._numbered(text)] for text in texts]
        longest = max(map(len, sentences))
        padded = [numbers + [PADDING] * (longest - len(numbers)) for numbers in sentences]
        words = torch.tensor(padded, device=self.word.weight.device)
        x = self.word(words) + self.place.weight[:longest]
        for block in self.blocks:
            x = block(x, src_key_padding_mask=words == PADDING)
        return self.out(x[:, 0])

    def _numbered(self, text: str) -> list[int]:
        words = words_of(text)
        for word in words:
            if word not in self.numbers:
                some = (
                    difflib.get_close_matches(word, self.known, 3, 0.6) or self.known[:: max(1, len(self.known) // 12)]
                )
                raise VideoSimError(
                    f"this checkpoint does not know the word {word!r}; it knows {len(self.known)}, among them "
                    f"{', '.join(word for word in some if word != ',')}"
                )
        if len(words) > LONGEST:
            raise VideoSimError(
                f"a text has at most {LONGEST} words and commas, articles not counted; got {len(words)}"
            )
        return [self.numbers[word] for word in words]


def build_text(config: TextConfig, width: int) -> TextEncoder | None:
    """The encoder that ``config.kind`` names, to vectors of ``width``; None for ``none``. Raises VideoSimError on
    another kind."""
    if isinstance(config, NoTextConfig):
        return None
    if isinstance(config, WordsConfig):
        return WordEncoder(config, width)
    raise VideoSimError(f"unknown kind of text {getattr(config, 'kind', config)!r}; known: none, words")
