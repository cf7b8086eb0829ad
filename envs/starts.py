"""Where an imagined episode begins: a clip that travels with the model, a logged moment, or frames somebody hands over.

Turns the ``options`` of ``reset`` into the state of a model that has absorbed the clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videosim.data.store import EpisodeStore
from videosim.dynamics import State
from videosim.errors import VideoSimError
from videosim.world_model import Contexts, WorldModel

STARTS = ("data", "task")
FORMS = ({"context"}, {"episode", "t"}, {"frames", "actions"})
CLIP_FRAMES = 5  # absorbed from a log when the model brings no clips of its own to say how many
CHUNK = 256  # clips absorbed in one pass


class Starts:
    """``data`` is the folder of an episode store of the model's world, needed for ``{"episode": e, "t": t}`` only.
    ``kind``: which of the model's clips an episode begins from when nothing is asked, moments anywhere in the "data"
    or beginnings of the "task" itself."""

    def __init__(self, model: WorldModel, data: str | Path | None = None, kind: str = "data") -> None:
        if kind not in STARTS:
            raise VideoSimError(f"starts must be one of {', '.join(STARTS)}; got {kind!r}")
        self.model, self.kind = model, kind
        self._store = None if data is None else _log(data, model)
        self._absorbed: State | None = None

    def __len__(self) -> int:
        """Number of clips that travel with the model."""
        return 0 if self.model.contexts is None else len(self.model.contexts)

    def begin(self, options: Mapping[str, Any], rngs: Sequence[np.random.Generator]) -> tuple[State, np.ndarray]:
        """The state of one row for each generator, and int64 ``(rows,)`` numbers of the contexts used (-1: none).

        Without options each row draws a context from its own generator. Raises VideoSimError on options that name
        nothing.
        """
        given = {key for key, value in options.items() if value is not None}
        unknown = set(options) - set().union(*FORMS)
        if unknown:
            raise VideoSimError(
                f"reset has no option {sorted(map(str, unknown))[0]!r}; it has 'context', or 'episode' and 't', "
                "or 'frames' and 'actions'"
            )
        if not any(given <= form for form in FORMS):
            raise VideoSimError(f"reset cannot use {' and '.join(sorted(given))} together; choose one way to start")
        if given - {"context"}:
            state = self._from_frames(options) if "frames" in given or "actions" in given else self._from_log(options)
            repeated = {name: value.expand(len(rngs), *value.shape[1:]) for name, value in state.items()}
            return repeated, np.full(len(rngs), -1)
        numbers = self._numbers(options.get("context"), rngs)
        index = torch.as_tensor(numbers, device=self.model.device)
        return {name: value[index] for name, value in self._clip_states().items()}, numbers

    def clips(self) -> Contexts:
        """The model's own clips; VideoSimError where it has none."""
        if self.model.contexts is None or not len(self):
            raise VideoSimError(
                "this model brings no start clips; reset with options={'frames': …, 'actions': …}, or train it again "
                "with contexts above 0"
            )
        return self.model.contexts

    def _numbers(self, wanted: Any, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        total = len(self.clips())
        if wanted is None:
            drawn = self._drawn()
            return np.array([drawn[rng.integers(len(drawn))] for rng in rngs], np.int64)
        numbers = np.asarray(wanted)
        if numbers.dtype.kind not in "iu" or numbers.shape not in ((), (len(rngs),)):
            raise VideoSimError(f"the option 'context' is a whole number from 0 to {total - 1}; got {wanted!r}")
        if (numbers < 0).any() or (numbers >= total).any():
            raise VideoSimError(f"this model has contexts 0 to {total - 1}; there is no context {numbers.tolist()}")
        return np.broadcast_to(numbers, len(rngs)).astype(np.int64)

    def _drawn(self) -> np.ndarray:
        """Numbers of the clips that a start is drawn from."""
        clips = self.clips()
        own = (clips.embodiment == self.model.body) & (clips.task == (self.kind == "task"))
        numbers = np.flatnonzero(own.cpu().numpy())
        if not len(numbers):
            raise VideoSimError(
                f"none of this model's start clips is of the kind {self.kind!r}; take the other of "
                f"starts={' and '.join(map(repr, STARTS))}, or train it with contexts and task_contexts above 0"
            )
        return numbers

    @torch.no_grad()
    def _clip_states(self) -> State:
        """Every clip absorbed, once: a reset then costs a copy, and a row begins alike whatever rows are beside it."""
        if self._absorbed is None:
            clips, device = self.clips(), self.model.device
            parts = [
                self.model.start(*(tensor.to(device) for tensor in some))
                for some in zip(
                    *(t.split(CHUNK) for t in (clips.latents, clips.actions, clips.embodiment)), strict=True
                )
            ]
            self._absorbed = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return self._absorbed

    def _from_log(self, options: Mapping[str, Any]) -> State:
        if self._store is None:
            raise VideoSimError("a start from an episode needs data=<folder of the episode store> when the env is made")
        for name in ("episode", "t"):
            value = options.get(name)
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise VideoSimError(f"a start from a log needs {name!r}, a whole number from 0; got {value!r}")
        episode, t = int(options["episode"]), int(options["t"])
        frames = self._store.frames(episode)
        if t >= len(frames):
            raise VideoSimError(f"episode {episode} has frames 0 to {len(frames) - 1}; there is no frame {t}")
        first = max(0, t + 1 - (self.clips().latents.shape[1] if len(self) else CLIP_FRAMES))
        actions = np.array(self._store.column("actions", episode)[first:t])
        return self._absorb(np.array(frames[first : t + 1]), self.model.spec.action.normalise(actions))

    def _from_frames(self, options: Mapping[str, Any]) -> State:
        spec = self.model.spec
        frames = np.asarray(options.get("frames"))
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != spec.frame.shape or not len(frames):
            raise VideoSimError(
                f"the option 'frames' is uint8 (K, {spec.frame.height}, {spec.frame.width}, 3); "
                f"got {frames.dtype} {frames.shape}"
            )
        given = options.get("actions")
        if given is None and len(frames) == 1:
            return self._absorb(frames, np.zeros((0, spec.action.size), np.float32))
        actions = np.asarray([] if given is None else given)
        if actions.dtype.kind not in "fiu" or actions.shape != (len(frames) - 1, spec.action.size):
            raise VideoSimError(
                f"{len(frames)} frames need the {len(frames) - 1} actions between them, shape "
                f"({len(frames) - 1}, {spec.action.size}); got {actions.shape}"
            )
        return self._absorb(frames, spec.action.normalise(spec.action.check(actions)))

    @torch.no_grad()
    def _absorb(self, frames: np.ndarray, actions: np.ndarray) -> State:
        """The state ``(1, …)`` after ``frames`` uint8 ``(K, H, W, 3)`` and normalised ``actions`` ``(K-1, A)``."""
        latents = self.model.encode(torch.from_numpy(np.ascontiguousarray(frames)))
        return self.model.start(latents[None], torch.from_numpy(actions)[None].to(self.model.device))


def _log(folder: str | Path, model: WorldModel) -> EpisodeStore:
    """The store in ``folder``, of the model's world; of a model of several worlds, of one with the same actions: where
    they share a sensor or an action it has the widest bounds."""
    store = EpisodeStore.open(folder)
    part = store.world.frame == model.spec.frame and store.world.action.names == model.spec.action.names
    return store if part and len(model.embodiments) > 1 else EpisodeStore.open(folder, model.spec)
