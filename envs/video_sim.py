"""VideoSimEnv and VideoSimVectorEnv: a learned world model as a gymnasium environment.

Both are views of one ``Dream``: a single environment is a dream of one row. This file holds gymnasium's conventions and
nothing of what an imagined episode is.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from videosim.envs.dream import Dream, Rules, as_model
from videosim.envs.starts import Starts
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel

DEFAULT_CHECKPOINT = "cartpole-swingup"
RENDER_MODES = ["rgb_array"]


def _check_render_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, *RENDER_MODES):
        raise VideoSimError(f"render_mode must be 'rgb_array' or None; got {render_mode!r}")
    return render_mode


class VideoSimEnv(gymnasium.Env):
    """One imagined episode at a time.

    checkpoint           name of a bundled model, a checkpoint folder, or a WorldModel
    obs                  "pixels" uint8 (H, W, 3); "latent" float32 (F,), the model's features; "state" float32 (S,),
                         the decoded sensors in their units; "dict" {"pixels", "state"}
    render_mode          None or "rgb_array"
    device               where a model is loaded to; a WorldModel stays where it is
    horizon              steps until truncation; None: the world's own
    max_uncertainty      truncate when the uncertainty passes it; "calibrated" takes the threshold in the model card
    uncertainty_penalty  subtracted from the reward, per unit of uncertainty
    data                 folder of an episode store, for starts from a log
    starts               where an episode begins when ``reset`` is not told: "data", anywhere in the training data, or
                         "task", as the task itself begins
    embodiment           of a model of several stores: whose actions these are and whose clips an episode begins from,
                         by name or number; None: the first. It is not paid where its store knew no task: such rewards
                         are what the others' task makes of its pictures

    Actions are in the world's units. ``terminated`` is learned; ``truncated`` is the horizon or the uncertainty limit.
    ``info``: "uncertainty", the expected state error as a fraction of the sensors' range (0 at a start), and
    "context_id", the clip the episode began from (-1: from elsewhere). Frames are decoded only when they are observed
    or rendered. Raises VideoSimError on bad arguments, options and actions.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 25}  # noqa: RUF012 (gymnasium's own type)

    def __init__(
        self,
        checkpoint: str | Path | WorldModel = DEFAULT_CHECKPOINT,
        obs: str = "pixels",
        render_mode: str | None = None,
        device: str = "cpu",
        horizon: int | None = None,
        max_uncertainty: float | str | None = None,
        uncertainty_penalty: float = 0.0,
        data: str | Path | None = None,
        starts: str = "data",
        embodiment: str | int | None = None,
    ) -> None:
        self.render_mode = _check_render_mode(render_mode)
        self.model = as_model(checkpoint, device, embodiment)
        rules = Rules(obs, horizon, max_uncertainty, uncertainty_penalty)
        self._dream = Dream(self.model, 1, rules, Starts(self.model, data, starts))
        self.world_spec = self.model.spec
        self.metadata = {**self.metadata, "render_fps": self.world_spec.fps}
        self.action_space = self._dream.action_space()
        self.observation_space = self._dream.observation_space()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. ``options``, one of: ``{"context": i}``; ``{"episode": e, "t": t}``, a moment of the log in
        ``data``; ``{"frames": uint8 (K, H, W, 3), "actions": (K-1, A)}``. Without any, a random context of the kind
        ``starts``."""
        super().reset(seed=seed)
        self._dream.reset([0], [self.np_random], options)
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Imagine one step under ``action`` (A,)."""
        rewards, terminated, truncated = self._dream.step([action])
        return self._observation(), float(rewards[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def render(self) -> np.ndarray:
        """The present frame, uint8 (H, W, 3)."""
        return self._dream.frames()[0]

    def sensors(self) -> np.ndarray:
        """The physical state that the model believes in, float32 (S,), named by ``world_spec.sensors``."""
        return self._dream.simulator.sensors()[0].cpu().numpy()

    def snapshot(self) -> dict[str, Any]:
        """Everything that decides the future, random numbers included."""
        return {**self._dream.snapshot(), "np_random": copy.deepcopy(self.np_random.bit_generator.state)}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a ``snapshot``: the same actions then give the same dream, bitwise."""
        self._dream.restore(snapshot)
        self.np_random.bit_generator.state = snapshot["np_random"]

    def branch(self, n: int) -> VideoSimVectorEnv:
        """``n`` copies of the present state, to be tried under different actions in one batch."""
        return _branches(self._dream, 0, n, self.np_random)

    def _observation(self) -> Any:
        return _row(self._dream.observe(), 0)

    def _info(self) -> dict[str, Any]:
        return {"uncertainty": float(self._dream.uncertainty[0]), "context_id": int(self._dream.context_id[0])}


class VideoSimVectorEnv(gymnasium.vector.VectorEnv):
    """``num_envs`` imagined episodes in one batched forward pass; the other arguments are VideoSimEnv's.

    Row i with seed s + i equals the single environment with that seed. A finished row starts again in the same step
    (``AutoresetMode.SAME_STEP``): its last observation is ``infos["final_obs"][i]``, its last info is in
    ``infos["final_info"]``, as gymnasium's own vector environments give them.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own type)
        "render_modes": RENDER_MODES,
        "render_fps": 25,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        checkpoint: str | Path | WorldModel = DEFAULT_CHECKPOINT,
        obs: str = "pixels",
        render_mode: str | None = None,
        device: str = "cpu",
        horizon: int | None = None,
        max_uncertainty: float | str | None = None,
        uncertainty_penalty: float = 0.0,
        data: str | Path | None = None,
        starts: str = "data",
        embodiment: str | int | None = None,
    ) -> None:
        self.render_mode, self.obs = _check_render_mode(render_mode), obs
        self.model = as_model(checkpoint, device, embodiment)
        rules = Rules(obs, horizon, max_uncertainty, uncertainty_penalty)
        self._dream = dream = Dream(self.model, num_envs, rules, Starts(self.model, data, starts))
        self._rngs = [seeding.np_random()[0] for _ in range(num_envs)]
        self._seeds = [-1] * num_envs  # gymnasium's word for an unknown seed
        self.num_envs, self.world_spec = num_envs, dream.spec
        self.metadata = {**self.metadata, "render_fps": dream.spec.fps}
        self.single_action_space, self.single_observation_space = dream.action_space(), dream.observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """One generator a row, as in gymnasium's SyncVectorEnv."""
        return tuple(self._rngs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin every row, or those in ``options["reset_mask"]`` (bool (num_envs,)). An int ``seed`` gives row i the
        seed ``seed + i``. Other options as in VideoSimEnv, for all rows; "context" may also be one number a row."""
        if options is not None and not isinstance(options, dict):
            raise VideoSimError(f"the options of reset are a dict; got {type(options).__name__}")
        options = dict(options or {})
        mask = self._mask(options.pop("reset_mask", None))
        seeds = [seed] * self.num_envs if seed is None else seed
        seeds = [seeds + i for i in range(self.num_envs)] if isinstance(seeds, (int, np.integer)) else list(seeds)
        if len(seeds) != self.num_envs:
            raise VideoSimError(f"{self.num_envs} environments need as many seeds; got {len(seeds)}")
        rows = np.flatnonzero(mask)
        for row in rows:
            if seeds[row] is not None:
                self._rngs[row], self._seeds[row] = seeding.np_random(seeds[row])
        self._dream.reset(rows.tolist(), [self._rngs[row] for row in rows], options)
        return self._dream.observe(), self._infos(mask)

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Imagine one step of every row under ``actions`` (num_envs, A)."""
        rewards, terminated, truncated = self._dream.step(actions)
        observations = self._dream.observe()
        done = terminated | truncated
        if not done.any():
            return observations, rewards, terminated, truncated, self._infos(np.ones_like(done))
        final: dict[str, Any] = {
            "final_obs": np.full(self.num_envs, None, object),
            "_final_obs": done.copy(),
            "final_info": self._infos(done),
            "_final_info": done.copy(),
        }
        rows = np.flatnonzero(done).tolist()
        for row in rows:
            final["final_obs"][row] = _row(observations, row)
        self._dream.reset(rows, [self._rngs[row] for row in rows])
        infos = {**final, **self._infos(np.ones_like(done))}
        return self._dream.observe(), rewards, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...]:
        """The present frames, each uint8 (H, W, 3)."""
        return tuple(self._dream.frames())

    def sensors(self) -> np.ndarray:
        """The physical states that the model believes in, float32 (num_envs, S)."""
        return self._dream.simulator.sensors().cpu().numpy()

    def snapshot(self) -> dict[str, Any]:
        """Everything that decides the future, random numbers included."""
        return {**self._dream.snapshot(), "np_random": copy.deepcopy([rng.bit_generator.state for rng in self._rngs])}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a ``snapshot``, bitwise."""
        self._dream.restore(snapshot)
        for rng, state in zip(self._rngs, snapshot["np_random"], strict=True):
            rng.bit_generator.state = state

    def branch(self, row: int, n: int) -> VideoSimVectorEnv:
        """``n`` copies of one row's present state."""
        return _branches(self._dream, row, n, self._rngs[row])

    def _infos(self, mask: np.ndarray) -> dict[str, Any]:
        values = {"uncertainty": self._dream.uncertainty, "context_id": self._dream.context_id}
        filled = {name: np.where(mask, value, 0) for name, value in values.items()}
        return {**filled, **{f"_{name}": mask.copy() for name in values}}

    def _mask(self, wanted: Any) -> np.ndarray:
        if wanted is None:
            return np.ones(self.num_envs, bool)
        mask = np.asarray(wanted)
        if mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise VideoSimError(f"the option 'reset_mask' is bool ({self.num_envs},) with at least one row set")
        return mask


def _row(observations: Any, row: int) -> Any:
    """One row's observation, as its own array."""
    if isinstance(observations, dict):
        return {name: value[row].copy() for name, value in observations.items()}
    return observations[row].copy()


def _branches(dream: Dream, row: int, n: int, rng: np.random.Generator) -> VideoSimVectorEnv:
    """``n`` copies of one row of ``dream`` under the same rules."""
    rules = dream.rules
    env = VideoSimVectorEnv(
        n,
        dream.model,
        rules.obs,
        horizon=rules.horizon,
        max_uncertainty=rules.max_uncertainty,
        uncertainty_penalty=rules.uncertainty_penalty,
    )
    env._dream = dream.branch(row, n)
    env._rngs = [copy.deepcopy(rng) for _ in range(n)]
    return env
