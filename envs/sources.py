"""Where physics comes from: a dm_control task, a gymnasium MuJoCo environment, or an own scene, behind one interface.

A source knows how its task starts an episode, advances one control step and scores it. Everything else (rendering,
state, action repeat, sensors) is the same for all and lives in ``physics.py``.
"""

from __future__ import annotations

import logging
import warnings
from importlib import import_module
from typing import Any, Protocol, cast

import gymnasium
import numpy as np

from videosim.envs import rendering  # noqa: F401  (chooses the OpenGL back end before mujoco is imported)
from videosim.errors import VideoSimError
from videosim.types import ActionSpec

import mujoco  # isort: skip

FULL = mujoco.mjtState.mjSTATE_INTEGRATION

# gymnasium leaves these one substep behind the position, and some tasks score from them: they belong to its state.
LAGGING = (
    *("xpos", "xquat", "xmat", "xipos", "ximat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "subtree_com"),
    *("cinert", "cvel", "cfrc_ext", "qfrc_actuator", "actuator_force", "sensordata", "qacc"),
)


class Source(Protocol):
    """One task on one MuJoCo model. A source may also bring ``knowledge`` (see ``worlds.py``), ``memory``, a float64
    array ``(M,)`` that is state beside MuJoCo's own, and ``look(draw)``, the frame it shows where ``draw()`` gives the
    true one."""

    model: mujoco.MjModel
    data: mujoco.MjData
    action: ActionSpec
    dt_s: float  # one control step, before action repeat
    derived: tuple[str, ...]  # fields of ``data`` that are state because the task lets them lag behind

    def begin(self, seed: int) -> None:
        """Start an episode; the same seed gives the same start, bitwise."""

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """One control step: reward, whether the task is over, extra information."""

    def observation(self) -> dict[str, np.ndarray]:
        """The task's own observation as named vectors, the sensors of a world that has no table entry."""


def settle(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Recompute everything that follows from the state, leaving the state itself (warm start included) as it was."""
    state = np.empty(mujoco.mj_stateSize(model, FULL))
    mujoco.mj_getState(model, data, state, FULL)
    mujoco.mj_forward(model, data)
    mujoco.mj_setState(model, data, state, FULL)


def _actuators(model: mujoco.MjModel, low: np.ndarray, high: np.ndarray) -> ActionSpec:
    names = tuple(model.actuator(i).name or f"action_{i}" for i in range(len(low)))
    return ActionSpec(tuple(map(float, low)), tuple(map(float, high)), names)


def _not_settotalmass(record: logging.LogRecord) -> bool:
    return "settotalmass" not in record.getMessage()


class DmControlSource:
    """``<domain>-<task>`` of the dm_control suite. The episode's end by time is left to the caller."""

    derived: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        from dm_control import suite

        domain, _, task = name.partition("-")
        if (domain, task) not in suite.ALL_TASKS:
            raise VideoSimError(
                f"dm_control has no task {name!r}; write <domain>-<task>, such as cartpole-swingup or finger-spin"
            )
        # dm_control's own cheetah uses a word that MuJoCo no longer likes, and absl would say so once an environment.
        logging.getLogger("absl").addFilter(_not_settotalmass)
        self._random = np.random.RandomState(0)
        self._env = suite.load(domain, task, task_kwargs={"random": self._random})
        self._physics, self._task = self._env.physics, self._env.task
        self.model, self.data = self._physics.model.ptr, self._physics.data.ptr
        spec = self._env.action_spec()
        low, high = np.broadcast_to(spec.minimum, spec.shape), np.broadcast_to(spec.maximum, spec.shape)
        self.action = _actuators(self.model, low, high)
        self.dt_s = float(self._env.control_timestep())
        self._substeps = round(self.dt_s / self._physics.timestep())

    def begin(self, seed: int) -> None:
        self._random.seed(seed)
        with self._physics.reset_context():
            self._task.initialize_episode(self._physics)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        self._task.before_step(action.astype(np.float64), self._physics)
        self._physics.step(self._substeps)
        self._task.after_step(self._physics)
        reward = float(self._task.get_reward(self._physics))
        discount = self._task.get_termination(self._physics)
        return reward, discount is not None and discount < 1.0, {}

    def observation(self) -> dict[str, np.ndarray]:
        return self._task.get_observation(self._physics)


class GymnasiumSource:
    """A gymnasium MuJoCo id such as ``InvertedDoublePendulum-v5``."""

    derived = LAGGING

    def __init__(self, name: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # an older version of a task is the user's choice
                self._env = cast(Any, gymnasium.make(name, disable_env_checker=True).unwrapped)
        except ImportError as error:
            raise VideoSimError(
                f"gymnasium's MuJoCo tasks need {error.name!r}; run `pip install gymnasium[mujoco]`"
            ) from error
        except gymnasium.error.Error as error:
            raise VideoSimError(f"gymnasium cannot make {name!r} ({error}); check the id") from error
        space = self._env.action_space
        if not isinstance(getattr(self._env, "model", None), mujoco.MjModel):
            raise VideoSimError(f"{name!r} is not a MuJoCo environment of gymnasium; choose one, such as Hopper-v5")
        self.model, self.data = self._env.model, self._env.data
        self.action = _actuators(self.model, space.low, space.high)
        self.dt_s = float(self._env.dt)

    def begin(self, seed: int) -> None:
        self._env.reset(seed=seed)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        _, reward, terminated, _, info = self._env.step(action.astype(self._env.action_space.dtype))
        return float(reward), bool(terminated), info

    def observation(self) -> dict[str, np.ndarray]:
        return {"observation": np.asarray(self._env._get_obs())}


OWN_SCENES = {
    "push": "videosim.envs.push:PushSource",
    "door": "videosim.envs.door:DoorSource",
    "driving": "videosim.envs.driving:DrivingSource",
    "driving-obstacles": "videosim.envs.driving:ObstacleSource",
    "gallery": "videosim.envs.gallery:GallerySource",
    "laws": "videosim.envs.laws:LawsSource",
    "laws-pairs": "videosim.envs.laws:PairsSource",
    "laws-ood": "videosim.envs.laws:BeyondSource",
}


def own_scene(name: str) -> Source:
    """A scene of this project, imported only when it is asked for."""
    if name not in OWN_SCENES:
        raise VideoSimError(f"videosim has no scene {name!r}; it has {', '.join(sorted(OWN_SCENES))}")
    module, _, cls = OWN_SCENES[name].partition(":")
    return getattr(import_module(module), cls)()


def control(name: str) -> Source:
    """A world that is broken on purpose, imported only when it is asked for."""
    from videosim.envs.controls import make_control

    return make_control(name)


def perturbed(name: str) -> Source:
    """A world whose physics is off by a known amount, imported only when it is asked for."""
    from videosim.envs.perturbed import make_perturbed

    return make_perturbed(name)


MAKERS = {
    "dm_control": DmControlSource,
    "gymnasium": GymnasiumSource,
    "videosim": own_scene,
    "control": control,
    "perturbed": perturbed,
}


def make_source(world_id: str) -> Source:
    """The source named by ``<source>:<name>``; VideoSimError where there is none."""
    kind, _, name = world_id.partition(":")
    if kind not in MAKERS or not name:
        raise VideoSimError(
            f"the world id {world_id!r} names no source of physics; write dm_control:<domain>-<task>, gymnasium:<Id>, "
            "videosim:<scene> or control:<name>"
        )
    return cast(Source, MAKERS[kind](name))
