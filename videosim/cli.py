"""``videosim <command> [group=choice] [key=value]``: finds the command, composes its settings, runs it.

A fault becomes one sentence and an exit status: 0 done, 2 bad input, 130 interrupted. A command is imported only when
it is called.

A command is ``def main(cfg: <Config>, run: Run) -> None``. To add one: its config dataclass in ``videosim.config``, a
``configs/<command>.yaml`` with the defaults list, and a line in ``COMMANDS``.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videosim.errors import VideoSimError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Command:
    """One command: what it does, its config dataclass in ``videosim.config``, the ``module:function`` to call, and the
    folder that holds its run folders (``runs/<command>`` if empty)."""

    summary: str
    config: str
    function: str
    folder: str = ""


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "bundled model: train a policy in imagination, try it in MuJoCo, report with videos",
        "DemoConfig",
        "videosim.agents.demo:main",
    ),
    "collect": Command("physics rollouts into an episode store", "CollectConfig", "videosim.commands:collect", "data"),
    "import": Command(
        "a log that another program recorded into an episode store",
        "ImportConfig",
        "videosim.data.importing:main",
        "data",
    ),
    "check": Command(
        "clock and ranges of a store, and whether its actions belong to its frames",
        "CheckConfig",
        "videosim.data.alignment:main",
    ),
    "export": Command(
        "an episode store into a data set that others read: LeRobot v3 or Minari",
        "ExportConfig",
        "videosim.data.exporting:main",
    ),
    "train": Command("an episode store into a checkpoint of the world model", "TrainConfig", "videosim.train:main"),
    "loop": Command(
        "rounds of collecting with the imagined policy and fine-tuning the model",
        "LoopConfig",
        "videosim.agents.loop:main",
    ),
    "agent": Command(
        "stable-baselines3 policy, trained in imagination or in physics",
        "AgentCommandConfig",
        "videosim.agents.train_agent:main",
    ),
    "gap": Command("imagination against physics: the sim-to-sim report", "GapConfig", "videosim.agents.gap:main"),
    "rank": Command(
        "many policies, scored in the dream and in physics: is the order the same?",
        "RankConfig",
        "videosim.agents.rank:main",
    ),
    "calibrate": Command(
        "does a model's uncertainty know its error, also where its own policies lead it?",
        "CalibrateConfig",
        "videosim.agents.calibrate:main",
    ),
    "exploit": Command(
        "one training in imagination followed in the dream and in physics: does it learn the dream's mistakes?",
        "ExploitConfig",
        "videosim.agents.exploit:main",
    ),
    "horizons": Command(
        "how long should the dreams be that a policy learns in?", "HorizonsConfig", "videosim.agents.horizons:main"
    ),
    "stress": Command(
        "policies from imagination and from physics where the physics has changed",
        "StressConfig",
        "videosim.agents.stress:main",
    ),
    "audit": Command(
        "what a model may be trusted with: memory, laws, interventions and outcomes, beside broken worlds",
        "AuditConfig",
        "videosim.auditing:audit",
    ),
    "ledger": Command("what is claimed beside what was measured", "LedgerConfig", "videosim.auditing:ledger"),
    "trend": Command(
        "audited models in a row: what compute buys, and what generations cost",
        "TrendConfig",
        "videosim.trending:main",
    ),
    "generate": Command(
        "films: a picture or a clip goes on, loops, is joined to another, mended or restyled, or follows a text",
        "GenerateConfig",
        "videosim.generating:main",
    ),
    "intend": Command(
        "do films of a text show what it asks for?",
        "IntendConfig",
        "videosim.intending:main",
    ),
    "bench": Command("steps per second against rendered MuJoCo", "BenchConfig", "videosim.envs.bench:main"),
}

USAGE = """\
usage: videosim <command> [group=choice] [key=value] …

{commands}

videosim <command> --help     the settings of a command, with defaults
videosim <command> --cfg job  the composed settings as YAML; nothing is run
videosim <command> -m key=a,b one run for each value
Every command takes out=DIR, the folder it writes to."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; exits the process with the status of the command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _dispatch(arguments)
    except VideoSimError as error:
        _stop(str(error), 2)
    except KeyboardInterrupt:
        again = shlex.join(["videosim", *arguments])
        _stop(f"interrupted; to resume, give the same command again: {again}", 130)
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" at {error.filename}" if error.filename else ""
        _stop(f"no space left on the disk{place}; free some, or choose another folder with out=DIR", 2)


def _stop(sentence: str, status: int) -> None:
    print(f"videosim: {' '.join(sentence.split())}", file=sys.stderr)
    raise SystemExit(status)


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print(USAGE.format(commands="\n".join(f"  {k:{width}}  {c.summary}" for k, c in COMMANDS.items())))
        if not arguments:
            raise SystemExit(2)
    elif arguments[0] in ("-V", "--version"):
        print(f"videosim {metadata.version('videosim')}")
    elif arguments[0] not in COMMANDS:
        raise VideoSimError(f"no command {arguments[0]!r}; the commands are {', '.join(COMMANDS)}")
    else:
        run_command(arguments[0], COMMANDS[arguments[0]], arguments[1:])


def run_command(name: str, command: Command, arguments: list[str]) -> None:
    """Run one command with the words behind its name. Raises what the command raises."""
    from videosim import compose

    schema = _find(f"videosim.config:{command.config}", name)
    flags, words = _split(name, arguments)
    if flags & {"-h", "--help"}:
        _help(name, command, schema, words)
    elif flags & {"--cfg", "-c"}:
        from omegaconf import OmegaConf

        print(OmegaConf.to_yaml(_settings(name, schema, words)[0]), end="")
    elif flags & {"-m", "--multirun"}:
        swept = compose.sweeps(words)
        for job in compose.expand_sweep(words):
            label = ",".join(word for word in job if word.split("=")[0] in swept).replace("/", "-")
            print(f"videosim {name} {shlex.join(job)}")
            _run_job(name, command, schema, job, subfolder=label)
    else:
        _run_job(name, command, schema, words)


def _run_job(name: str, command: Command, schema: type, words: list[str], subfolder: str = "") -> None:
    from videosim.compose import to_dataclass
    from videosim.run import Run

    config, out = _settings(name, schema, words)
    cfg = to_dataclass(config, name)
    function = _find(command.function, name)
    folder = (Path(out) if out else Path(command.folder or f"runs/{name}") / _subject(cfg)) / subfolder
    if "out" in {field.name for field in fields(schema)}:
        cfg.out = str(folder)
    with Run(name, cfg, folder) as run:
        function(cfg, run)


def _settings(name: str, schema: type, words: list[str]) -> tuple[DictConfig, str]:
    """The composed settings, and the folder asked for by ``out=`` ("" for the default)."""
    from videosim.compose import compose, parse

    out = [str(override.value()) for override in parse(words) if override.key_or_group == "out"]
    config = compose(name, schema, [word for word in words if not word.startswith("out=")])
    return config, out[-1] if out else str(config.get("out") or "") if "out" in config else ""


def _split(name: str, arguments: list[str]) -> tuple[set[str], list[str]]:
    """Flags and settings apart. ``--cfg job`` is the one flag with a value."""
    known = {"-h", "--help", "--cfg", "-c", "-m", "--multirun"}
    flags: set[str] = set()
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        flag, _, value = word.partition("=") if word.startswith("--cfg=") else (word, "", "")
        if flag in ("--cfg", "-c") and (value or next(rest, "")) != "job":
            raise VideoSimError(f"videosim {name} --cfg knows only 'job': write --cfg job")
        if flag.startswith("-") and flag not in known:
            raise VideoSimError(f"videosim {name} has no flag {word!r}; settings are written key=value, see --help")
        if flag in known:
            flags.add(flag)
        else:
            words.append(word)
    return flags, words


def _help(name: str, command: Command, schema: type, words: list[str]) -> None:
    from videosim.compose import describe

    print(f"videosim {name}: {command.summary}\n\nusage: videosim {name} [group=choice] [key=value] …\n")
    rows = describe(_settings(name, schema, words)[0])
    if "out" not in {field.name for field in fields(schema)}:
        rows.append(("out=DIR", f"folder to write to; default {command.folder or f'runs/{name}'}/<subject>"))
    width = min(max(len(left) for left, _ in rows), 44)
    for left, comment in rows:
        print(f"  {left:{width}}  {comment}".rstrip())
    print("\n--cfg job prints the composed settings; -m key=a,b runs one job for each value")


def _subject(cfg: Any) -> str:
    """What a run is about, as a folder name: its checkpoint, its world, or its data."""
    from videosim.embodiments import body_of

    checkpoint = getattr(cfg, "checkpoint", None)
    world = getattr(cfg, "world", None)
    data = getattr(cfg, "data", None) or getattr(cfg, "source", None)
    if isinstance(checkpoint, str) and checkpoint:
        folder, body = body_of(checkpoint)
        path = Path(folder).resolve()
        name = path.parent.name if path.name == "checkpoint" else path.name  # every run calls its model "checkpoint"
        return f"{name}-{body}" if body else name
    if world:
        return str(getattr(world, "name", world)).replace(":", "-").replace("/", "-")
    return Path(data).name if isinstance(data, str) and data else "default"


def _find(target: str, command: str) -> Any:
    """Import ``module:name``; a module that does not exist is a fault of this installation, said in one sentence."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise VideoSimError(
            f"videosim {command} cannot start because Python has no module {error.name!r}; install videosim again"
        ) from error
    except AttributeError as error:
        raise VideoSimError(f"videosim {command} is not part of this installation ({target} is missing)") from error


if __name__ == "__main__":
    main()
