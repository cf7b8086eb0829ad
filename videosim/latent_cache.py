"""Latents of a training's frames on the disk, so that one that is resumed need not encode them again.

Each file is called after what its latents were made of: the tokenizer, weights and all, and the frames, by the
checksums that their store keeps of them. So another tokenizer finds none, nor does a store that has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from videosim.corpus import Corpus
from videosim.run import Run
from videosim.world_model import WorldModel


class LatentCache:
    """In ``folder``, one file for a corpus, written whole or not at all. writes: whether this process may add any."""

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self.folder, self.writes = folder, writes

    def fill(self, corpora: Sequence[Corpus], model: WorldModel, run: Run) -> None:
        """The ``latents`` of all ``corpora``, mapped from the disk; those that are not there are encoded first."""
        tokenizer = _digest(model)
        files = [self._file(tokenizer, corpus) for corpus in corpora]
        missing = [(corpus, file) for corpus, file in zip(corpora, files, strict=True) if not file.is_file()]
        if missing:
            with run.progress(sum(int(c.first[-1]) for c, _ in missing), "encoding frames", "frames") as bar:
                for corpus, file in missing:
                    corpus.encode(model, bar.advance)
                    if self.writes:
                        self._write(file, corpus, run)
        for corpus, file in zip(corpora, files, strict=True):
            if file.is_file():
                corpus.latents = load_file(file)["latents"]

    def clear(self) -> None:
        """Delete all that is there: latents are large, and a training that is finished needs them no more."""
        for file in self.folder.glob("latents-*"):
            file.unlink()

    def _file(self, tokenizer: str, corpus: Corpus) -> Path:
        made_of = hashlib.sha256(f"{tokenizer} {corpus.fingerprint}".encode()).hexdigest()
        return self.folder / f"latents-{made_of[:32]}.safetensors"

    def _write(self, file: Path, corpus: Corpus, run: Run) -> None:
        temporary = file.with_suffix(".tmp")
        try:
            save_file({"latents": corpus.latents}, temporary)
            temporary.replace(file)
        except (OSError, SafetensorError) as fault:
            temporary.unlink(missing_ok=True)  # the training can do without
            run.say(f"{self.folder} cannot keep the latents ({fault}), so a resumed training will encode them again")


def _digest(model: WorldModel) -> str:
    """Of the tokenizer: its settings and its weights."""
    total = hashlib.sha256(repr(model.config.tokenizer).encode())
    for name, value in model.tokenizer.state_dict().items():
        total.update(name.encode() + value.cpu().numpy().tobytes())
    return total.hexdigest()
