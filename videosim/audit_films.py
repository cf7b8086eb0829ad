"""Films of an audited model beside the truth. The audit's own figures choose what is shown: nobody picks an episode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videosim.video import SCALE, Film, difference, side_by_side

if TYPE_CHECKING:
    from videosim.audits.audit import Bench
    from videosim.audits.forks import Fork
    from videosim.audits.push_reader import PushReader
    from videosim.audits.world import World

BRANCHES_SCALE = SCALE - 1  # four of them are to fit a page
MANOEUVRES_SCALE = 2  # and five of them
NOTE = (
    "The model sees the frames that lead to the start, then dreams on under the same actions. The red frame begins "
    "where the reader finds the first break of an object's identity (A1). Through the codec the truth looks as well as "
    "any model behind this codec can make it."
)
BRANCHES_NOTE = (
    "One state, and from it four random action sequences. Above what they truly lead to, below what the model shows; "
    "every picture below should be that above it, and has a red frame from frame {} on where another one's truth was "
    "as near to it then, or nearer (A3). The first start whose true futures differ is shown."
)
MANOEUVRES_NOTE = (
    "The first start that counts, at half the frames. Above what MuJoCo shows when the car is told to steer left, go "
    "straight on, steer right, speed up and brake, below what the model shows; the first two frames lead to the start "
    "(A17)."
)
TOLD_NOTE = (
    "The clip that steers furthest to the right: as it was recorded, as the model dreams it under its own actions, "
    "and under those of a clip that steers otherwise (A19)."
)

LAWS_NOTE = (
    "The first trial of each law, with factors as recordings show them. Above what MuJoCo shows when nothing is done, "
    "below what the model shows (A4)."
)
PUSHES_NOTE = (
    "The first door, pushed with five forces, the weakest on the left, and then let go. Above what MuJoCo shows, below "
    "what the model shows (A6)."
)
TOUR_NOTE = (
    "The first tour: the camera goes out for half of it, turning all the way, and comes back the way it went. The last "
    "picture must be the first (A8)."
)


def model_films(bench: Bench, name: str, model: Any, audits: Mapping[str, Any], folder: Path) -> list[Film]:
    """What each of ``audits``, as a report holds them, has to show of the model. Kept as ``folder/<film>.mp4`` too."""
    from videosim.audits.world import DreamWorld

    world = DreamWorld(model)
    films = [
        film
        for audit, shoot in SHOOTS.items()
        if audit in audits
        for film in shoot(Set(bench, name, model, world, audits[audit]["details"], folder))
    ]
    world.close()
    return films


@dataclass(frozen=True)
class Set:
    """Where films are shot: the true side, the model by its name and as a world, what the audit noted, and a folder."""

    bench: Bench
    name: str
    model: Any
    world: World
    details: Mapping[str, Any]
    folder: Path

    def film(self, place: str, said: str, frames: np.ndarray, note: str, every: int = 1) -> Film:
        """Of ``every`` so many frames uint8 (T, H, W, 3), and ``<place>.mp4``."""
        fps = 1.0 / (self.world.spec.dt_s * every)
        return Film.kept(self.folder / f"{place}.mp4", f"{self.name}, {said}", frames, fps, note, narrow=True)


def _breaks(given: Set) -> list[Film]:
    """The best, median and worst of A1's episodes by their first break; none where the kept report is of an earlier
    version, which did not note the episodes' breaks."""
    from videosim.audits.identity import draw_case
    from videosim.audits.world import film

    bench, model, world = given.bench, given.model, given.world
    breaks: Sequence[Mapping[str, Any] | None] = given.details.get("breaks", [])
    films: list[Film] = []
    if not breaks:
        return films
    for place, episode in by_break([None if b is None else int(b["frame"]) for b in breaks]).items():
        case, broke = draw_case(bench, episode), breaks[episode]
        shown = break_film(
            case.truth.frames,
            _through(model, case.truth.frames),
            film(world, case.start, case.actions),
            None if broke is None else int(broke["frame"]),
        )
        said = f"{broke['kind']} of {broke['name']} at frame {broke['frame']}" if broke else "no break"
        said = f"{place} of {len(breaks)} episodes by first break: {said}"
        films.append(given.film(place, said, shown, "" if films else NOTE))
    return films


def _branches(given: Set) -> list[Film]:
    from videosim.audits.forks import first_fork

    judged = given.bench.bars.sizes["intervention_frames"]
    grid = branch_film(given.bench.reader, given.world, first_fork(given.bench), judged)
    return [given.film("branches", "four futures of one state", grid, BRANCHES_NOTE.format(judged))]


def _manoeuvres(given: Set) -> list[Film]:
    from videosim.audits.driving_reader import STRIDE
    from videosim.audits.driving_truth import answer
    from videosim.audits.manoeuvres import draw_crossroads

    here = given.bench.once(draw_crossroads)[0][0]
    shown = [answer(given.world, here.start, true.actions).frames for true in here.drives]
    grid = manoeuvre_film([true.frames for true in here.drives], shown)
    return [given.film("manoeuvres", "five manoeuvres from one start", grid, MANOEUVRES_NOTE, STRIDE)]


def manoeuvre_film(truth: Sequence[np.ndarray], shown: Sequence[np.ndarray]) -> np.ndarray:
    """The five true futures of one start above the world's."""
    from videosim.audits.driving_truth import MANOEUVRES

    return above(dict(zip(MANOEUVRES, truth, strict=True)), dict(zip(MANOEUVRES, shown, strict=True)))


def above(truth: Mapping[str, np.ndarray], shown: Mapping[str, np.ndarray]) -> np.ndarray:
    """True films in a row, the world's below them: uint8 (n, H', W', 3), of films by name, uint8 (n, H, W, 3) each."""
    captions = [f"frame {t}" for t in range(len(next(iter(truth.values()))))]
    rows = (("truth", truth, captions), ("model", shown, None))
    return np.concatenate(
        [
            side_by_side({f"{side}, {name}": film for name, film in films.items()}, said, MANOEUVRES_SCALE)
            for side, films, said in rows
        ],
        axis=1,
    )


def _laws(given: Set) -> list[Film]:
    """The first trial of every law, as long as the shortest of them; nothing of push, whose A4 is another."""
    from videosim.audits.law_truth import LawsTruth, still
    from videosim.audits.laws import draw_sets
    from videosim.audits.world import film

    if not isinstance(given.bench.truth, LawsTruth):
        return []
    trials = {trials[0].law: trials[0] for trials in reversed(given.bench.once(draw_sets))}
    length = 1 + min(trial.steps for trial in trials.values())
    truth = {law: trial.frames[:length] for law, trial in sorted(trials.items())}
    shown = {law: film(given.world, trials[law].start, still(trials[law]))[:length] for law in truth}
    return [given.film("laws", "one trial of each law", above(truth, shown), LAWS_NOTE)]


def _pushes(given: Set) -> list[Film]:
    """The first door at the third lever; nothing of push, whose A6 is another."""
    from videosim.audits.door_truth import DoorTruth
    from videosim.audits.pushes import draw_doors
    from videosim.audits.responses import DOSES
    from videosim.audits.world import PhysicsWorld, film

    if not isinstance(given.bench.truth, DoorTruth):
        return []
    push, physics = given.bench.once(draw_doors)[0][2], PhysicsWorld(given.bench.truth.spec.name)
    truth, shown = (
        {f"{dose:.0%}": film(world, push.start, push.actions(float(dose))) for dose in DOSES[2::3]}
        for world in (physics, given.world)
    )
    physics.close()
    return [given.film("pushes", "five forces at one door", above(truth, shown), PUSHES_NOTE)]


def _tour(given: Set) -> list[Film]:
    """The first tour, beside what the codec alone makes of it."""
    from videosim.audits.loops import draw_tours
    from videosim.audits.world import film

    tour = given.bench.once(draw_tours)[0]
    shown = film(given.world, tour.start, tour.actions)
    grid = break_film(tour.frames, _through(given.model, tour.frames), shown, None)
    return [given.film("tour", "out and back", grid, TOUR_NOTE)]


def by_break(first: Sequence[int | None]) -> dict[str, int]:
    """ "best", "median" and "worst" -> episode, by the frame of its first break, None being none; ties by number."""
    order = np.argsort([-math.inf if frame is None else -frame for frame in first], kind="stable")
    return {"best": int(order[0]), "median": int(order[len(order) // 2]), "worst": int(order[-1])}


def break_film(truth: np.ndarray, codec: np.ndarray, shown: np.ndarray, broke: int | None) -> np.ndarray:
    """Films uint8 (T, H, W, 3): the truth beside what a world has ``shown``, and below them what the codec makes of the
    truth beside the world's difference from it. From frame ``broke`` on a red frame around what the world shows."""
    captions = [f"frame {t}" for t in range(len(shown))]
    marks = {} if broke is None else {"model": broke}
    rows = [
        side_by_side({"truth": truth, "model": shown}, captions, marks=marks),
        side_by_side({"truth through the codec": codec, "truth less model": difference(truth, shown)}),
    ]
    return np.concatenate(rows, axis=1)


def branch_film(reader: PushReader, world: World, fork: Fork, judged: int) -> np.ndarray:
    """The true futures of ``fork`` in one row, the world's in the next: uint8 (T+1, H', W', 3). Those that are not
    nearest to their own truth at frame ``judged`` have a red frame from there on."""
    from videosim.audits.intervention import identified
    from videosim.audits.world import film

    numbers = range(1, len(fork.actions) + 1)
    true = {f"truth {i}": truth.frames for i, truth in zip(numbers, fork.truths, strict=True)}
    shown = {f"model {i}": film(world, fork.start, branch) for i, branch in zip(numbers, fork.actions, strict=True)}
    captions = [f"frame {t}" for t in range(fork.actions.shape[1] + 1)]
    right = identified(fork, np.stack([reader.read(frames).position for frames in shown.values()]), judged)
    wrong = {label: judged for label, share in zip(shown, right, strict=True) if share < 1.0}
    rows = [side_by_side(true, captions, BRANCHES_SCALE), side_by_side(shown, None, BRANCHES_SCALE, wrong)]
    return np.concatenate(rows, axis=1)


def _through(model: Any, frames: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return model.decode(model.encode(torch.as_tensor(frames))).cpu().numpy()


def _told(given: Set) -> list[Film]:
    """A recorded clip, what the model makes of its actions, and of those of another clip."""
    from videosim.audits.turns import draw_pairs
    from videosim.audits.world import film

    clip, other = given.bench.once(draw_pairs)[0]
    shown = {
        "recorded": clip.frames,
        "model": film(given.world, clip.start, clip.actions),
        "told otherwise": film(given.world, clip.start, other.actions),
    }
    grid = side_by_side(shown, [f"frame {t}" for t in range(len(clip.frames))])
    return [given.film("told", "a clip of the log", grid, TOLD_NOTE)]


SHOOTS: Mapping[str, Callable[[Set], list[Film]]] = {
    **{"A1": _breaks, "A3": _branches, "A17": _manoeuvres, "A19": _told},
    **{"A4": _laws, "A6": _pushes, "A8": _tour},
}
