"""Open-loop error against horizon: same start, same recorded actions, how long the dream stays with the truth.

The model absorbs K recorded frames and then sees nothing but actions for H steps. Scored against the record: physical
state per sensor, and frames, next to what the codec alone loses and to repeating the last frame. Knows no policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from videosim.errors import VideoSimError
from videosim.metrics import (
    PSNR_CAP_DB,
    STATE_ERROR_LIMIT,
    background,
    first_passage,
    median_passage,
    moving_mask,
    normalised_error,
    psnr,
    state_error,
)
from videosim.statistics import Estimate
from videosim.types import Episode, SensorSpec

BATCH = 32  # starts at once: bounds the memory for decoded frames
VIEWS = ("dream", "codec", "copy last frame")


@dataclass
class OpenLoop:
    """n starts followed for H steps; step 0 is the last context frame.

    episodes, times  int (n,): episode number and the index of the last context frame
    predicted, true  float32 (n, H+1, S) in the sensors' units, named and scaled by ``sensors``
    psnr             name of VIEWS -> float64 (n, H+1) dB against the raw recorded frames; "codec" is
                     decode(encode(true)), the ceiling of any model behind this tokenizer
    moving_psnr      the same over the pixels that move; NaN where none does
    """

    sensors: SensorSpec
    episodes: np.ndarray
    times: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    psnr: dict[str, np.ndarray]
    moving_psnr: dict[str, np.ndarray]

    @property
    def error(self) -> np.ndarray:
        """|predicted - true| as a fraction of each sensor's range, (n, H+1, S)."""
        return normalised_error(self.predicted, self.true, self.sensors.span)

    @property
    def copy_error(self) -> np.ndarray:
        """The same for a state that stays what it truly was at step 0."""
        return normalised_error(np.broadcast_to(self.true[:, :1], self.true.shape), self.true, self.sensors.span)

    def horizons(self, rng: np.random.Generator) -> dict[str, Estimate]:
        """Median first step whose error passes STATE_ERROR_LIMIT, episodes bootstrapped; named as in result.json.

        The headline is of the root mean square over sensors, ``_strict`` of the worst sensor, ``_copy_last`` of the
        frozen state, and ``_<sensor>`` of one sensor alone.
        """
        error = self.error
        curves = {
            "": state_error(error),
            "_strict": error.max(-1),
            "_copy_last": state_error(self.copy_error),
        } | {f"_{name}": error[..., s] for s, name in enumerate(self.sensors.names)}
        passages = {key: first_passage(curve, STATE_ERROR_LIMIT) for key, curve in curves.items()}
        return {
            f"open_loop_horizon_frames{key}": median_passage(passage, rng, self.episodes)
            for key, passage in passages.items()
        }

    def curves(self) -> list[dict[str, Any]]:
        """Plots for ``report.write_report``: state error, strict error, PSNR, and folded each sensor in its units."""
        error = self.error
        title = "State error (root mean square over sensors)"
        limit = [{"y": 100 * STATE_ERROR_LIMIT, "label": f"{STATE_ERROR_LIMIT:.0%} of range"}]
        plots = [
            _plot(
                title,
                "% of range",
                {"dream": 100 * state_error(error), "copy last": 100 * state_error(self.copy_error)},
            )
            | {"lines": limit},
            _plot(
                "Worst sensor", "% of range", {"dream": 100 * error.max(-1), "copy last": 100 * self.copy_error.max(-1)}
            )
            | {"lines": limit},
            _plot("Whole frame against the record", "PSNR, dB", _differing(self.psnr)),
            _plot("Moving pixels against the record", "PSNR, dB", _differing(self.moving_psnr)),
        ]
        span = self.sensors.span
        for s, (name, unit) in enumerate(zip(self.sensors.names, self.sensors.units, strict=True)):
            series = {"dream": span[s] * error[..., s], "copy last": span[s] * self.copy_error[..., s]}
            line = {"y": STATE_ERROR_LIMIT * float(span[s]), "label": f"{STATE_ERROR_LIMIT:.0%} of range"}
            plots.append(_plot(f"Error of {name.replace('_', ' ')}", unit, series) | {"lines": [line], "folded": True})
        return plots


def open_loop(
    model: Any,
    episodes: Sequence[Episode],
    horizon: int,
    context: int,
    n: int,
    rng: np.random.Generator,
) -> OpenLoop:
    """Score ``n`` starts drawn from ``episodes``, which the model must not have been trained on.

    model  anything with spec, encode, start, step, sensors and decode as ``WorldModel`` has them
    Raises VideoSimError when no episode is long enough or the sensors are not the model's.
    """
    numbers, times = draw_starts([episode.length for episode in episodes], horizon, context, n, rng)
    parts = []
    for i in np.unique(numbers):
        episode = episodes[i]
        if episode.sensors.shape[1] != model.spec.sensors.size:
            raise VideoSimError(
                f"the episodes have {episode.sensors.shape[1]} sensors and the model {model.spec.sensors.size}; "
                "give episodes of the world the model was trained on"
            )
        mine = np.flatnonzero(numbers == i)
        still = background(episode.frames)
        for batch in np.split(mine, range(BATCH, len(mine), BATCH)):
            parts.append((batch, _score(model, episode, still, times[batch], horizon, context)))
    order = np.argsort(np.concatenate([batch for batch, _ in parts]))

    def join(key: str) -> np.ndarray:
        return np.concatenate([scores[key] for _, scores in parts])[order]

    return OpenLoop(
        model.spec.sensors,
        numbers,
        times,
        join("predicted"),
        join("true"),
        {view: join(f"psnr {view}") for view in VIEWS},
        {view: join(f"moving {view}") for view in VIEWS},
    )


def dream(
    model: Any, episode: Episode, times: np.ndarray, horizon: int, context: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Step by step, H+1 times: sensors float32 (B, S) and frames uint8 (B, H, W, 3) dreamed after frames ``times`` (B,)
    of ``episode``, under the actions recorded there. Step 0 is what the model holds of the last context frame."""
    clips = np.stack([episode.frames[t - context + 1 : t + 1] for t in times])
    with torch.no_grad():
        latents = model.encode(torch.as_tensor(clips))

        def actions(rows: Sequence[np.ndarray]) -> torch.Tensor:
            return torch.as_tensor(model.spec.action.normalise(np.stack(rows))).to(latents.device)

        state = model.start(latents, actions([episode.actions[t - context + 1 : t] for t in times]))
        for h in range(horizon + 1):
            yield model.sensors(state).cpu().numpy(), model.decode(model.latents(state)).cpu().numpy()
            if h < horizon:
                state, _ = model.step(state, actions([episode.actions[t + h] for t in times]))


def _score(
    model: Any, episode: Episode, still: np.ndarray, times: np.ndarray, horizon: int, context: int
) -> dict[str, np.ndarray]:
    copied = np.stack([episode.frames[t] for t in times])
    columns: dict[str, list[np.ndarray]] = {"predicted": [], "true": []}
    columns |= {f"{kind} {view}": [] for kind in ("psnr", "moving") for view in VIEWS}
    for h, (sensors, dreamed) in enumerate(dream(model, episode, times, horizon, context)):
        frames = np.stack([episode.frames[t + h] for t in times])
        moving = moving_mask(frames, still)
        with torch.no_grad():
            codec = model.decode(model.encode(torch.as_tensor(frames))).cpu().numpy()
        columns["predicted"].append(sensors)
        columns["true"].append(np.stack([episode.sensors[t + h] for t in times]))
        for view, shown in zip(VIEWS, (dreamed, codec, copied), strict=True):
            columns[f"psnr {view}"].append(psnr(shown, frames))
            columns[f"moving {view}"].append(psnr(shown, frames, moving))
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def draw_starts(
    lengths: Sequence[int], horizon: int, context: int, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``n`` (episode, last context frame) pairs, spread over the episodes as evenly as can be."""
    if min(horizon, context, n) < 1:
        raise VideoSimError(f"horizon, context and starts must be at least 1; got {horizon}, {context} and {n}")
    usable = [i for i, length in enumerate(lengths) if length >= context - 1 + horizon]
    if not usable:
        raise VideoSimError(
            f"no episode has the {context - 1 + horizon} steps that {context} context frames and a horizon of "
            f"{horizon} need; ask for a shorter horizon or give longer episodes"
        )
    numbers = np.resize(rng.permutation(usable), n)
    return numbers, np.array([rng.integers(context - 1, lengths[i] - horizon + 1) for i in numbers])


def _differing(views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without frames that are the record itself, as the first one of a frozen frame is: beside their cap nothing else
    could be told apart."""
    return {name: np.where(values < PSNR_CAP_DB - 1e-6, values, np.nan) for name, values in views.items()}


def _plot(title: str, unit: str, series: dict[str, np.ndarray]) -> dict[str, Any]:
    """Median and 10-90 % band over starts; a start with nothing to show at a step (NaN) is left out there."""
    lines = []
    for name, values in series.items():
        masked = np.ma.masked_invalid(values)
        bands = []
        for column in masked.T:
            seen = column.compressed()
            bands.append(np.quantile(seen, [0.1, 0.5, 0.9]) if len(seen) else [np.nan] * 3)
        low, middle, high = np.array(bands).T
        lines.append({"name": name, "y": middle.tolist(), "low": low.tolist(), "high": high.tolist()})
    steps = list(range(next(iter(series.values())).shape[1]))
    note = "Median over starts; the band holds the middle 80 %."
    return {"title": title, "x_label": "steps", "y_label": unit, "x": steps, "series": lines, "note": note}
