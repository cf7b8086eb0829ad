"""PhysicsEnv: the ground truth. A MuJoCo task as a gymnasium environment: fast pixels, sensors, exact state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from importlib.resources import files
from typing import Any, ClassVar

import gymnasium
import numpy as np
import yaml

from videosim.config import WorldConfig
from videosim.envs.rendering import FastRenderer, Renderer
from videosim.envs.segmentation import Segmentation
from videosim.envs.sources import FULL, make_source, settle
from videosim.envs.spaces import action_box, observation_spaces
from videosim.envs.worlds import Behaviour, knowledge
from videosim.errors import VideoSimError
from videosim.types import FrameSpec, WorldSpec

import mujoco  # isort: skip

RATE_HZ = 25.0  # the rate at which agents act, about, where a world leaves the choice to us
OBSERVATIONS = ("state", "pixels", "dict")


def load_world(name: str) -> WorldConfig:
    """The configuration of a world: a name in ``configs/world``, any ``dm_control:x-y`` or ``gymnasium:Id-v5``, or a
    ``control:name`` or ``perturbed:name``, which is seen and controlled like the world it changes."""
    folder = files("videosim.configs") / "world"
    if ":" not in name:
        path = folder / f"{name}.yaml"
        if not path.is_file():
            known = sorted(
                entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
            )
            raise VideoSimError(
                f"there is no world {name!r}; choose {', '.join(known)}, or any dm_control:<domain>-<task>, "
                "gymnasium:<Id> or control:<name>"
            )
        values = yaml.safe_load(path.read_text())
        unknown = set(values) - {f.name for f in fields(WorldConfig)}
        if unknown:
            raise VideoSimError(f"the world file of {name!r} has an unknown setting {sorted(unknown)[0]!r}; remove it")
        return WorldConfig(**values)
    if name.startswith(("control:", "perturbed:")):
        return replace(load_world(make_source(name).of), name=name, id=name)  # type: ignore[attr-defined]
    repeat = int(np.clip(round(1.0 / RATE_HZ / make_source(name).dt_s), 1, 4))
    return WorldConfig(name=name, id=name, action_repeat=repeat)


class PhysicsEnv(gymnasium.Env):
    """A MuJoCo world, stepped at the agent's rate.

    world        a WorldConfig, or a name or id that ``load_world`` knows
    obs          "state": sensors float32 (S,); "pixels": frame uint8 (H, W, 3); "dict": {"pixels", "state"}
    render_mode  "rgb_array" or None
    renderer     how frames are drawn: FastRenderer, or DefaultRenderer for a comparison

    The reward is the sum over the action repeat. An episode ends by time after ``world.horizon`` steps.
    Raises VideoSimError on an unknown world, observation, render mode, camera, or a bad action or state.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": round(RATE_HZ)}  # type: ignore[misc]

    def __init__(
        self,
        world: WorldConfig | str = "cartpole-swingup",
        obs: str = "state",
        render_mode: str | None = "rgb_array",
        renderer: Callable[..., Renderer] = FastRenderer,
    ) -> None:
        self.world = load_world(world) if isinstance(world, str) else WorldConfig(**asdict(world))
        if obs not in OBSERVATIONS:
            raise VideoSimError(f"obs must be one of {', '.join(OBSERVATIONS)}; got {obs!r}")
        if render_mode not in (None, "rgb_array"):
            raise VideoSimError(f"render_mode must be 'rgb_array' or None; got {render_mode!r}")
        if min(self.world.height, self.world.width, self.world.supersample, self.world.action_repeat) < 1:
            raise VideoSimError("a world's height, width, supersample and action_repeat must be 1 or more")
        self.obs, self.render_mode = obs, render_mode
        self._source = make_source(self.world.id)
        self._varied = varied_fields(self._source)
        self._knowledge = knowledge(self.world.id, self._source)
        self._memory: np.ndarray = getattr(self._source, "memory", np.zeros(0))
        self._make_renderer = renderer
        self._renderer: Renderer | None = None
        self._segmentation: Segmentation | None = None
        self._camera = _camera(self._source.model, self.world.camera)
        if self.world.field_of_view_deg and self._camera:
            self._source.model.camera(self._camera).fovy[:] = self.world.field_of_view_deg
        self.world_spec = WorldSpec(
            name=self.world.name,
            frame=FrameSpec(self.world.height, self.world.width),
            action=self._source.action,
            sensors=self._knowledge.sensors,
            dt_s=self._source.dt_s * self.world.action_repeat,
            horizon=self.world.horizon,
        )
        self.metadata = {**self.metadata, "render_fps": self.world_spec.fps}  # type: ignore[misc]
        self.action_space = action_box(self.world_spec.action)
        self.observation_space = observation_spaces(self.world_spec)[obs]
        self._steps = 0
        self._picture: np.ndarray | None = None  # the frame of the current state, drawn at most once

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode. ``options``: ``{"state": float64 (P,)}`` starts from a saved state with a full horizon
        ahead; ``{"wide": True}`` draws from the wide distribution meant for data collection."""
        super().reset(seed=seed)
        options = options or {}
        unknown = set(options) - {"state", "wide"}
        if unknown:
            raise VideoSimError(f"reset has no option {sorted(unknown)[0]!r}; it has 'state' and 'wide'")
        self._source.begin(int(self.np_random.integers(2**31)))
        if options.get("wide"):
            self._knowledge.wide(self._source, self.np_random)
            settle(self._source.model, self._source.data)
        if options.get("state") is not None:
            self.restore(options["state"])
        self._steps = 0
        self._picture = None
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Hold ``action`` (A,) for the action repeat. Stepping on past the end of an episode is allowed."""
        action = self.world_spec.action.check(action)
        if action.shape != (self.world_spec.action.size,):
            raise VideoSimError(f"step takes one action of shape ({self.world_spec.action.size},); got {action.shape}")
        total, over = 0.0, False
        info: dict[str, Any] = {}
        for _ in range(self.world.action_repeat):  # to the end, so that every step lasts dt_s, also the last one
            reward, ended, info = self._source.advance(action)
            total += 0.0 if over else reward
            over = over or ended
        self._steps += 1
        self._picture = None
        return self._observe(), total, over, self._steps >= self.world.horizon, info

    def render(self) -> np.ndarray:
        """The frame of the current state, uint8 (H, W, 3)."""
        if self._picture is None:
            if self._renderer is None:
                size = (self.world.height, self.world.width)
                self._renderer = self._make_renderer(self._source.model, *size, self._camera, self.world.supersample)
            draw = partial(self._renderer.frame, self._source.data)
            look = getattr(self._source, "look", None)
            self._picture = draw() if look is None else look(draw)
        return self._picture.copy()

    def pixels(self, bodies: Sequence[str]) -> np.ndarray:
        """In how many pixels each of ``bodies`` is seen, int64 (n,), drawn ``supersample`` times as large as a
        frame."""
        if self._segmentation is None:
            size = self.world.height * self.world.supersample, self.world.width * self.world.supersample
            self._segmentation = Segmentation(self._source.model, *size, self._camera)
        return self._segmentation.pixels(self._source.data, bodies)

    def sensors(self) -> np.ndarray:
        """The true physical state as readable numbers, float32 (S,), named by ``world_spec.sensors``."""
        return self._knowledge.read(self._source).astype(np.float32)

    def save(self) -> np.ndarray:
        """Everything that decides the future, float64 (P,): step count, what the episode randomised in the model,
        MuJoCo's full integration state, and the source's own memory."""
        model, data = self._source.model, self._source.data
        state = np.empty(mujoco.mj_stateSize(model, FULL))
        mujoco.mj_getState(model, data, state, FULL)
        return np.concatenate([[self._steps], *(view.ravel() for view in self._views()), state, self._memory])

    def restore(self, state: np.ndarray) -> None:
        """Undo everything since ``save``: the same actions then give the same frames, rewards and sensors, bitwise.

        A state of the world that a control breaks lacks the memory of the fault, which is then left as it is."""
        state = np.asarray(state, np.float64)
        model, data = self._source.model, self._source.data
        views, size = self._views(), mujoco.mj_stateSize(model, FULL)
        expected = 1 + sum(view.size for view in views) + size
        remembered = {0, getattr(self._source, "shared", 0), self._memory.size}
        if state.shape not in [(expected + size,) for size in remembered] or not np.isfinite(state).all():
            raise VideoSimError(
                f"a state of {self.world.name} has {expected + self._memory.size} finite numbers; got shape "
                f"{state.shape}: restore only what save() of the same world returned"
            )
        state, memory = state[:expected], state[expected:]
        self._memory[: memory.size] = memory
        self._steps = int(state[0])
        parts = np.split(state[1:-size], np.cumsum([view.size for view in views])[:-1]) if views else []
        varied = len(self._varied)
        _write(views[:varied], parts[:varied])
        mujoco.mj_setState(model, data, state[-size:], FULL)
        settle(model, data)
        _write(views[varied:], parts[varied:])  # last: settling would bring lagging fields up to date
        self._picture = None

    def place(self, put: Callable[[mujoco.MjModel, mujoco.MjData], None]) -> None:
        """Let ``put`` write another state into model and data; what follows from it is then computed anew."""
        put(self._source.model, self._source.data)
        settle(self._source.model, self._source.data)
        self._picture = None

    def scripted(self, rng: np.random.Generator, skill: float) -> Behaviour | None:
        """A scripted behaviour ``sensors (S,) -> action (A,)`` of ``skill`` in [0, 1], or None where there is none."""
        make = self._knowledge.scripted
        return None if make is None else make(rng, float(np.clip(skill, 0.0, 1.0)))

    def close(self) -> None:
        for opened in (self._renderer, self._segmentation):
            if opened is not None:
                opened.close()
        self._renderer = self._segmentation = None

    def _observe(self) -> Any:
        if self.obs == "state":
            return self.sensors()
        if self.obs == "pixels":
            return self.render()
        return {"pixels": self.render(), "state": self.sensors()}

    def _views(self) -> list[np.ndarray]:
        """The arrays beside MuJoCo's state that belong to it here: first the model's, then the lagging ones."""
        model, data = self._source.model, self._source.data
        return [getattr(model, n) for n in self._varied] + [getattr(data, n) for n in self._source.derived]


def _write(views: list[np.ndarray], parts: list[np.ndarray]) -> None:
    for view, part in zip(views, parts, strict=True):
        view[...] = part.reshape(view.shape)


def varied_fields(source: Any) -> tuple[str, ...]:
    """Which arrays of the model the task rewrites at the start of an episode (the reacher's target, for example)."""

    def arrays() -> dict[str, np.ndarray]:
        values = ((n, getattr(source.model, n)) for n in dir(source.model) if not n.startswith("_"))
        return {n: v.copy() for n, v in values if isinstance(v, np.ndarray) and v.dtype == np.float64}

    compiled = arrays()
    varied: set[str] = set()
    for seed in range(3):
        source.begin(seed)
        varied |= {n for n, value in arrays().items() if not np.array_equal(value, compiled[n])}
    return tuple(sorted(varied))


def _camera(model: mujoco.MjModel, wanted: str) -> str:
    """``wanted``, else the scene's first camera, else "" for the free one."""
    names = [model.camera(i).name for i in range(model.ncam)]
    if wanted and wanted not in names:
        raise VideoSimError(
            f"the scene has no camera {wanted!r}; it has {', '.join(names) or 'none, so leave it empty'}"
        )
    return wanted or (names[0] if names else "")
