"""Journeys: the long episodes that several audits read, filmed once in each world.

Half of them push a ball under the screen, leave it there and push it out again; half push the red ball into the goal.
All then leave that ball for good and stay about one of PLACES, and bursts of action nobody announced are thrown in
(``Pulse``). The scripts act in the physics; a world gets the actions that came of it, from the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Bench, Viewing
from videosim.audits.push_reader import Reading
from videosim.audits.push_scene import positions
from videosim.audits.scripts import Script, into_the_goal, stay, under_the_screen
from videosim.audits.truth import FIRST_SEED
from videosim.audits.world import Start, see
from videosim.envs.physics import PhysicsEnv
from videosim.errors import VideoSimError

PLACES = ((0.37, -0.37), (0.37, 0.37), (-0.37, -0.37), (0.0, -0.3))  # metres
RESTS = (2, 16)  # frames that a ball lies under the screen before the pusher comes for it
CONTEXT = 7  # steps before a journey, at rest: a world that is late is then late by a shift, and by nothing else
FIRST_NUMBER, APART = 100_000, 20_000  # of the starts; how far apart journeys begin to look for theirs
TRIES = 8 * APART  # how many are tried: kinds come again after eight, so none looks where its like does
LEAVES_BY = 0.75  # of the frames: a journey whose ball is not left alone by then is not taken
CARRIED_M, LEFT_M, SLOW_MPS = 0.2, 0.005, 0.02  # how far the ball is moved; how little it may move when it was left
PULSES, PULSE_FRAMES = 3, 5
WAYS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)], np.float64)
WHOLE = 0.9  # share in sight from which a place is compared
HIDDEN_FRAMES = 4  # at least, of a journey under the screen


@dataclass(frozen=True)
class Pulse:
    """A burst of ``frames`` steps at ``frame`` in the direction ``chosen`` of WAYS; ``moves`` (4, 2), metres by which
    the pusher truly moves in that time, had it been each of them."""

    frame: int
    chosen: int
    moves: np.ndarray


@dataclass(frozen=True)
class Journey:
    """One of them, and the truth about it.

    actions   float32 (T, A)
    position  float64 (T+1, 4, 2) metres; share float64 (T+1, 4) in sight; read, the reading of the true frames
    rewards   float64 (T,); success bool (T,); goal float64 (2,) metres
    ball      column in NAMES of the ball that is carried; left, the frame from which it lies alone
    policy    number of the kind and the place, of ``len(PLACES) * 2``; screen, whether the ball goes under the screen
    """

    start: Start
    actions: np.ndarray
    position: np.ndarray
    share: np.ndarray
    read: Reading
    rewards: np.ndarray
    success: np.ndarray
    goal: np.ndarray
    ball: int
    left: int
    policy: int
    screen: bool
    pulses: Sequence[Pulse]

    @property
    def hidden(self) -> tuple[int, int]:
        """First and last frame at which nothing is seen of the ball."""
        unseen = np.flatnonzero(self.share[:, self.ball] == 0.0)
        return int(unseen[0]), int(unseen[-1])


@dataclass(frozen=True)
class Travelled:
    """What a world showed and said of a journey: ``success`` (T,) is None where it says nothing of the kind."""

    read: Reading
    rewards: np.ndarray
    success: np.ndarray | None


def draw_journeys(bench: Bench) -> list[Journey]:
    """As many as the bars ask for; the same number of each kind and place, as near as can be."""
    count, frames = bench.bars.sizes["journeys"], bench.bars.sizes["journey_frames"]
    return [_journey(bench, index, frames) for index in range(count)]


def travel(viewing: Viewing) -> list[tuple[Journey, Travelled]]:
    """The journeys, as far as the look goes, in the world."""
    return viewing.each(draw_journeys, _travel)


def _travel(viewing: Viewing, journey: Journey) -> Travelled:
    world = viewing.world
    world.reset(journey.start)
    frames, rewards, success = [see(world)], [], []
    for action in journey.actions:
        world.step(action)
        frames.append(see(world))
        rewards.append(world.reward)
        success.append(world.success)
    said = None if None in success else np.array(success, bool)
    return Travelled(viewing.bench.reader.read(np.stack(frames)), np.array(rewards, np.float64), said)


# --- drawing ---------------------------------------------------------------------------------------------------------


def kind(index: int) -> tuple[bool, int, int, int]:
    """Of journey ``index``: whether it goes under the screen, which ball is carried (its column in NAMES), and the
    numbers of its rest and of its place."""
    screen = index % 2 == 0
    return screen, 1 + index // 2 % 2 if screen else 1, index // 4 % len(RESTS), index // 2 % len(PLACES)


def _journey(bench: Bench, index: int, frames: int) -> Journey:
    """The first start from which journey ``index`` goes as it should."""
    env = bench.truth.env
    screen, ball, rest, place = kind(index)
    first = FIRST_NUMBER + index * APART
    for number in range(first, first + TRIES):
        seed = FIRST_SEED + number
        env.reset(seed=seed, options={"wide": screen})
        if screen and not _ready(positions(env.sensors()), ball):
            continue
        begin = Start(env.save(), env.render()[None], np.zeros((0, env.world_spec.action.size), np.float32), seed)
        rng = np.random.default_rng([seed, 3])
        task = under_the_screen(env.sensors, ball, RESTS[rest]) if screen else into_the_goal(env.sensors, rng)
        still = np.zeros((CONTEXT, env.world_spec.action.size), np.float32)
        for action in still:
            env.step(action)
        written = _write(env, task, stay(env.sensors, np.array(PLACES[place]), rng), ball, frames, rng)
        if written is None:
            continue
        actions, left, pulses = written
        journey = _seen(bench, bench.truth.go(begin, still), actions, ball, left, place + len(PLACES) * screen, pulses)
        share = journey.share[:, ball]
        if not screen or ((share == 0.0).sum() >= HIDDEN_FRAMES and (share[left:] >= WHOLE).all()):
            return journey
    raise VideoSimError(f"no start of {TRIES} makes journey {index} of {frames} frames; ask for more journey_frames")


def _ready(place: np.ndarray, ball: int) -> bool:
    """Whether the pusher stands east of the ball, the ball east of the screen, and nothing in their way."""
    x, y = place[ball]
    others = [place[i] for i in (1, 2, 3) if i != ball]
    free = all(not (o[1] > 0.1 and o[0] < x + 0.25) and not (o[0] < -0.1 and o[1] > -0.25) for o in others)
    return -0.12 <= x <= 0.22 and 0.22 <= y <= 0.36 and place[0, 0] > x + 0.06 and free


def _write(
    env: PhysicsEnv, task: Script, rest: Script, ball: int, frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, int, list[Pulse]] | None:
    """Actions of both scripts, one after the other, with pulses in the second; None where the ball is not carried, not
    left in time or not left alone."""
    actions: list[np.ndarray] = []
    home = positions(env.sensors())[ball]
    for action in task:
        if len(actions) >= LEAVES_BY * frames:
            return None
        actions.append(action)
        env.step(action)
    while len(actions) < LEAVES_BY * frames and np.linalg.norm(_speed(env, ball)) > SLOW_MPS:
        actions.append(next(rest))
        env.step(actions[-1])
    left, lies = len(actions), positions(env.sensors())[ball]
    spaced = np.linspace(left, frames - 2 * PULSE_FRAMES, PULSES + 1)[1:].astype(int)
    due, pulses = list(spaced), []
    while len(actions) < frames:
        if due and len(actions) == due[0]:
            pulse, burst = _pulse(env, due.pop(0), rng)
            pulses.append(pulse)
        else:
            burst = [next(rest)]
        for action in burst:
            actions.append(action)
            env.step(action)
    ends = positions(env.sensors())[ball]
    if np.linalg.norm(ends - lies) > LEFT_M or np.linalg.norm(lies - home) < CARRIED_M:
        return None
    return np.stack(actions).astype(np.float32), left, pulses


def _speed(env: PhysicsEnv, ball: int) -> np.ndarray:
    """The ball's velocity (2,) in m/s."""
    first = env.world_spec.sensors.names.index("pusher_velocity_x")
    return env.sensors()[first + 2 * ball : first + 2 * ball + 2]


def _pulse(env: PhysicsEnv, frame: int, rng: np.random.Generator) -> tuple[Pulse, list[np.ndarray]]:
    """A pulse at the present state, which is left as it was, and its actions."""
    held, chosen, strength = env.save(), int(rng.integers(len(WAYS))), rng.uniform(0.7, 1.0)
    begin, moves = positions(env.sensors())[0], []
    for way in WAYS:
        env.restore(held)
        for _ in range(PULSE_FRAMES):
            env.step((strength * way).astype(np.float32))
        moves.append(positions(env.sensors())[0] - begin)
    env.restore(held)
    return Pulse(frame, chosen, np.stack(moves)), [(strength * WAYS[chosen]).astype(np.float32)] * PULSE_FRAMES


def _seen(
    bench: Bench, start: Start, actions: np.ndarray, ball: int, left: int, policy: int, pulses: Sequence[Pulse]
) -> Journey:
    """The journey with what MuJoCo shows, knows and pays."""
    truth = bench.truth.follow(start, actions)
    rewards, success = bench.truth.pay(start, actions)
    return Journey(
        start=start,
        actions=actions,
        position=truth.position,
        share=truth.share,
        read=bench.reader.read(truth.frames),
        rewards=rewards,
        success=success,
        goal=np.asarray(bench.truth.env.sensors()[-2:], np.float64),
        ball=ball,
        left=left,
        policy=policy,
        screen=policy >= len(PLACES),
        pulses=pulses,
    )
