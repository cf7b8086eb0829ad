"""Print the pip requirement that installs a fitting torch, or nothing where none has to be installed here.

A torch that is there is kept. A machine with an NVIDIA GPU gets what pip picks. Without one, only a CPU build will do:
one that pip can see (find-links and indexes as the user set them), never gigabytes of CUDA libraries by accident.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

OLDEST = (2, 6)


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)


def release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])


def has_gpu() -> bool:
    try:
        return "GPU" in subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return False


def cpu_only(requirement: str) -> bool:
    """Whether pip would satisfy ``requirement`` with a build that needs no CUDA packages. Nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        dry = (
            "install",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--only-binary=torch",
            "--report",
            str(report),
        )
        if pip(*dry, requirement).returncode != 0:
            return False
        metadata = json.loads(report.read_text())["install"][0]["metadata"]
    if "+cpu" in metadata["version"]:
        return True
    needs = [need.lower() for need in metadata.get("requires_dist", []) if "extra ==" not in need]
    return "+" not in metadata["version"] and (
        sys.platform != "linux" or not any(need.startswith(("nvidia", "cuda", "triton")) for need in needs)
    )


def main() -> None:
    try:
        if release(importlib.metadata.version("torch")) >= OLDEST:
            return
    except importlib.metadata.PackageNotFoundError:
        pass
    plain = f"torch>={OLDEST[0]}.{OLDEST[1]}"
    if has_gpu() or os.environ.get("VIDEOSIM_ALLOW_CUDA") == "1":
        print(plain)
        return
    # pip prefers the newest version whatever its build, so CPU builds are asked for by their own version
    listed = pip("index", "versions", "torch").stdout
    builds = sorted(set(re.findall(r"\d[\w.]*\+cpu", listed)), key=release, reverse=True)
    wanted = [f"torch=={build}" for build in builds if release(build) >= OLDEST]
    for requirement in [*wanted, "torch==2.13.0", plain]:
        if cpu_only(requirement):
            print(requirement)
            return
    sys.exit(
        "set-up: this machine has no NVIDIA GPU and pip offers only CUDA builds of torch; install a CPU build with "
        ".venv/bin/pip and run this again, or set VIDEOSIM_ALLOW_CUDA=1 to accept several GB of CUDA libraries"
    )


if __name__ == "__main__":
    main()
