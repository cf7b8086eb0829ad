"""Put some parts of what a training made into a bundled model, and leave all the rest of its files as they are.

    python experiments/rebundle.py NAME RUN OUT PART …

``RUN`` began with ``init=NAME``, or with a run that did; a ``PART`` is how names of its weights begin, such as
``dynamics.reader``. They are stored in the bits that ``RUN`` stored them in. Start clips and other weights keep their
bytes, so that the history of the repository grows by what has changed. ``OUT`` is a folder to be measured first, and
then copied over ``videosim/assets/NAME``. Frames of a store of the same name and size as the model's are the model's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from videosim.checkpoint import amend_card, find_checkpoint
from videosim.errors import VideoSimError
from videosim.rounding import SCALE

LEARNED = "Learned since"  # section of the model card
STAGES = ("transition steps", "belief steps")
SCORES, SCORED = "Open loop on held-out episodes", ("error_5", "error_15", "error_50", "filter_error")


def rebundle(name: str, run: Path, out: Path, parts: tuple[str, ...]) -> dict[str, Any]:
    """Write the checkpoint ``out``; returns what its card says of the ``parts``. Raises SystemExit where ``out`` is
    there already, where ``run`` holds no such part or did not begin with the bundled model, or where what is left of
    that one does not fit it."""
    if out.exists():
        raise SystemExit(f"{out} is there already; name a new folder")
    base, trained = find_checkpoint(name), find_checkpoint(run)
    weights = load_file(trained / "model.safetensors")
    taken = {key: value for key, value in weights.items() if key.startswith(parts)}
    unknown = [part for part in parts if not any(key.startswith(part) for key in taken)]
    if unknown:
        raise SystemExit(f"{run} has no weights whose names begin with {unknown[0]!r}")
    kept = {key: value for key, value in load_file(base / "model.safetensors").items() if not key.startswith(parts)}
    if _names(kept) != _names(weights) - _names(taken):
        raise SystemExit(f"what is left of {name} is not what {run} lacks; name all parts that differ")
    config, before = (json.loads((folder / "config.json").read_text()) for folder in (trained, base))
    data, scores = config["card"]["Data"], config["card"][SCORES]
    told = {"weights": ", ".join(parts), "store": data["store"], "frames": data["frames"]}
    told |= learned(trained, base)
    told |= {f"{score} of all that was learned": scores[score] for score in SCORED}
    config["card"] = {section: said for section, said in before["card"].items() if section != SCORES}
    if (data["store"], data["frames"]) != (before["card"]["Data"]["store"], before["card"]["Data"]["frames"]):
        config["card"]["Data"]["frames"] += data["frames"]  # others than the model was made of
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(kept | taken, out / "model.safetensors")
    (out / "contexts.safetensors").write_bytes((base / "contexts.safetensors").read_bytes())
    amend_card(out, LEARNED, told)
    return told


def _names(stored: Collection[str]) -> set[str]:
    return {key for key in stored if not key.endswith(SCALE)}


def learned(trained: Path, base: Path) -> dict[str, int]:
    """Steps of each stage since ``base``: the last that had any, of the trainings that led to ``trained``."""
    found: dict[str, int] = {}
    while trained.resolve() != base.resolve():
        training = json.loads((trained / "config.json").read_text())["card"]["Training"]
        found = {stage: training[stage] for stage in STAGES if training[stage]} | found
        try:
            trained = find_checkpoint(training["initialised from"])
        except VideoSimError as fault:
            raise SystemExit(f"{trained} did not begin with {base.name}, or with a run that did and is here") from fault
    return found


def main() -> None:
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    name, run, out, *parts = sys.argv[1:]
    for key, value in rebundle(name, Path(run), Path(out), tuple(parts)).items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
