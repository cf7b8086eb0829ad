"""Text: the same words the same token, no words as if there were no text, and films that follow what is said."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY_CORES, make_tiny_model, tiny_spec
from cores import CONFIGS, LAYOUT, clip_of, unfelt, untrained
from sum_world import MODEL, episode
from test_embodiments import WORLDS, part, settings, trained_in
from test_generate import FRAMES, footage
from test_generating import result, run

from videosim import spacetime
from videosim.around import Around
from videosim.captions import CAPTIONERS, vocabulary
from videosim.captions.captioner import DETAILS, Captioner
from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.compose import compose, to_dataclass
from videosim.config import TrainConfig
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.generate import generate
from videosim.model_config import FlowConfig, NoTextConfig, WordLlamaConfig, WordsConfig, from_dict, to_dict
from videosim.resized import resized
from videosim.spacetime import SpaceTimeDynamics
from videosim.telling import check_told, telling
from videosim.text import LONGEST, PieceEncoder, WordEncoder, _frozen, build_text
from videosim.types import FrameSpec
from videosim.verbs import Wish, find_verb
from videosim.world_model import WorldModel

SPEC = tiny_spec()
SMALL = WordsConfig(size=8, heads=2, unsaid=0.0, alone=0.0)
TEXTS = ["the pusher moves left", "a cheetah", "", "a red ball, a green ball and a blue box"]


def model_of(kind: str = "flow", text: Any = SMALL) -> WorldModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TINY_CORES, kind, replace(TINY_CORES[kind], joint=1.0, text=text))  # type: ignore[type-var]
        model = make_tiny_model(kind=kind)
    with torch.no_grad():  # so that a word is heard
        for name, weight in model.dynamics.named_parameters():
            if name.endswith("frame.output.weight"):
                weight.mul_(20.0)
    return model


def core_of(**changed: Any) -> SpaceTimeDynamics:
    core = untrained("flow", **{"joint": 1.0, "text": SMALL, **changed})
    assert isinstance(core, SpaceTimeDynamics)
    return core


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- the encoder -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_sentence_is_the_same_alone_and_among_others() -> None:
    torch.manual_seed(0)
    encoder = WordEncoder(SMALL, 12).eval()
    together = encoder(TEXTS)
    assert together.shape == (4, 12) and len({tuple(row.tolist()) for row in together}) == 4
    for text, row in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(encoder([text])[0], row)
    same = encoder(["The PUSHER moves left.", "pusher  moves   left", "moves pusher left"])
    torch.testing.assert_close(same[0], together[0])
    assert torch.equal(same[0], same[1]) and not torch.allclose(same[0], same[2], atol=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a zebra runs", "word 'zebra'; it knows .*, among them"),
        ("the ...", "no word that counts"),
        ("the pusher moves lef", "'lef'.*left"),
        ("красный шар", "'красный'"),
        ("a box " * 40, f"at most {LONGEST}"),
    ],
)
def test_words_that_it_cannot_read(text: str, words: str) -> None:
    with pytest.raises(VideoSimError, match=words) as fault:
        WordEncoder(SMALL, 12)([text])
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    "changed", [{"size": 0}, {"heads": 3}, {"words": ["one", "one"]}, {"words": [1]}, {"layers": 0}]
)
def test_settings_that_do_not_fit(changed: dict[str, Any]) -> None:
    with pytest.raises(VideoSimError, match=r"model\.dynamics\.text"):
        build_text(replace(SMALL, **changed), 12)


@torch.no_grad()
def test_frozen_pieces_of_words_read_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wordllama", reason="the extra `text`")
    monkeypatch.setattr(socket.socket, "connect", None)  # whoever would download
    handlers = logging.getLogger().handlers[:]
    torch.manual_seed(0)
    encoder = PieceEncoder(WordLlamaConfig(size=8, heads=2), 12).eval()
    texts = [*TEXTS, "an unheard-of zebra", "moves pusher left the"]
    together = encoder(texts)
    for text, row in zip(texts, together, strict=True):
        torch.testing.assert_close(encoder([text])[0], row)
    assert len({tuple(row.tolist()) for row in together}) == 6 and logging.getLogger().handlers == handlers
    assert sum(weight.numel() for weight in encoder.state_dict().values()) < 5000  # the vectors stay in their package
    for detail, captioner in product(DETAILS, CAPTIONERS.values()):
        full = {kind: max(values, key=len) for kind, values in captioner.facts.items()}
        assert encoder([captioner.write(full, detail)]).shape == (1, 12)
    with pytest.raises(VideoSimError, match="at most 64"):
        encoder(["zebra " * 60])


def test_the_extra_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    _frozen.cache_clear()
    model = model_of(text=WordLlamaConfig(size=8, heads=2))
    for call in (lambda: check_told(model), lambda: generate(model, find_verb("image"), Wish(SPEC.frame))):
        with pytest.raises(VideoSimError, match=r"'wordllama', which is not installed; pip install 'videosim\[text\]'"):
            call()
    save_checkpoint(tmp_path, model, {})
    assert isinstance(load_checkpoint(tmp_path).dynamics.text, PieceEncoder)


def test_text_needs_whole_clips_and_a_kind_that_there_is() -> None:
    with pytest.raises(VideoSimError, match=r"joint=0\.5"):
        core_of(joint=0.0)
    assert build_text(NoTextConfig(), 12) is None
    with pytest.raises(VideoSimError, match="unknown kind of text"):
        build_text(5, 12)  # type: ignore[arg-type]


# --- in the core -----------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("kind", ["flow", "masked"])
def test_a_core_without_text_is_as_before(kind: str) -> None:
    """Adding text changes neither the other weights, nor a step, nor what a lesson without whole clips draws."""
    told = untrained(kind, joint=1.0, text=SMALL)
    plain = untrained(kind, joint=1.0)
    for name, weight in plain.named_parameters():
        own = dict(told.named_parameters())[name]
        own.copy_(weight)
    latents, actions = clip_of(2, 4)
    states = [core.start(latents[:, :3], actions[:, :2]) for core in (told, plain)]
    for core, state in zip((told, plain), states, strict=True):
        core.eval()
        state |= core.step(state, actions[:, 2])[0]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])


@torch.no_grad()
def test_what_is_said_reaches_the_film_and_only_its_own_row() -> None:
    core, (latents, _) = core_of(), clip_of(3, 3)
    nothing = torch.zeros_like(latents[..., 0])

    def made(*texts: str) -> torch.Tensor:
        return core.generate(latents, nothing, None, [rng(n) for n in range(3)], 2, list(texts) or None)

    silent, told = made(), made("", "the pusher moves left", "")
    torch.testing.assert_close(silent, made("", "", ""))
    torch.testing.assert_close(told[[0, 2]], silent[[0, 2]])
    assert not torch.allclose(told[1], silent[1], atol=1e-4)
    assert not torch.allclose(told[1], made("", "the pusher moves right", "")[1], atol=1e-5)
    with pytest.raises(VideoSimError, match="learned no text"):
        core_of(text=NoTextConfig()).generate(latents, nothing, None, [rng()], 1, ["a cheetah"])


@torch.no_grad()
def test_guidance_leads_away_from_what_nobody_said() -> None:
    latents, _ = clip_of(2, 3)
    nothing, texts = torch.zeros_like(latents[..., 0]), ["a cheetah", "the pusher moves left"]
    films = [core_of(guidance=g).generate(latents, nothing, None, [rng(), rng(1)], 1, texts) for g in (0.0, 1.0, -1.0)]
    silent = core_of().generate(latents, nothing, None, [rng(), rng(1)], 1)
    torch.testing.assert_close(films[2], silent)
    torch.testing.assert_close(films[1], 2 * films[0] - silent)


def test_captions_are_dropped_for_a_share_and_are_about_the_frames_used() -> None:
    core, (latents, actions) = core_of(text=replace(SMALL, unsaid=0.5)), clip_of(60, 5)
    asked: list[int] = []
    seen: list[str] = []
    assert core.text is not None
    core.text.register_forward_pre_hook(lambda module, args: seen.extend(args[0]))

    def told(frames: int, rng: torch.Generator) -> list[str]:
        asked.append(frames)
        return ["a cheetah"] * 60

    lost = core.clip_loss(latents, actions, unfelt(latents), torch.ones(60, 5).bool(), rng(3), told)
    assert len(asked) == 1 and 1 <= asked[0] <= 6 and len(seen) == 60 and 15 < seen.count("") < 45
    lost.backward()
    assert core.text.word.weight.grad is not None and bool(core.text.word.weight.grad.any())  # type: ignore[union-attr]
    seen.clear()
    core.clip_loss(latents, actions, unfelt(latents), torch.ones(60, 5).bool(), rng(3))
    assert seen == [""] * 60


def test_words_alone_are_words_without_frames_and_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    core, (latents, actions) = core_of(text=replace(SMALL, alone=1.0), untold=0.0), clip_of(40, 5)
    seen: list[Around] = []

    def watch(around: Around) -> object:
        seen.append(around)
        return lambda z, level, size, rows=None: z

    monkeypatch.setattr(core, "_predict", watch)
    for outlined in (0.0, 1.0):
        monkeypatch.setattr(spacetime, "OUTLINED", outlined)
        core.clip_loss(
            latents, actions, unfelt(latents), torch.ones(40, 5).bool(), rng(5), lambda *_: ["a cheetah", ""] * 20
        )
    around, painted = seen
    assert bool(painted.shown.all())  # in use the states of a text come before its pictures
    assert core.text is not None
    said = core.no_action + core.text(["a cheetah"])
    assert not around.shown[::2].any()
    torch.testing.assert_close(around.led[::2], said.expand_as(around.led[::2]))
    assert bool(around.shown[1::2].any()) and not torch.allclose(around.led[1, 1], around.led[3, 1])


def test_text_decides_what_is_made() -> None:
    """Clips are light where that is said and dark where that is: after little training so are films of nothing but the
    word, also where clips without words are either."""
    torch.manual_seed(0)
    config = replace(CONFIGS["flow"], joint=1.0, text=WordsConfig(size=16, alone=1.0, words=["dark", "light"]))  # type: ignore[type-var]
    core = type(core_of())(config, LAYOUT, 5, 0, untrained("flow").path)  # type: ignore[arg-type]
    draw, optimizer = rng(1), torch.optim.Adam(core.parameters(), 4e-3)
    for _ in range(150):
        light = torch.randint(2, (24,), generator=draw)
        clips = (light[:, None, None, None] * 2.0 - 1.0).expand(24, 3, LAYOUT.tokens, LAYOUT.width)
        words = [("dark", "light")[number] for number in light.tolist()]
        told, exist = torch.zeros(24, 2, 5), torch.ones(24, 2).bool()
        lost = core.clip_loss(clips, told, unfelt(clips), exist, draw, lambda frames, _: words)  # noqa: B023
        optimizer.zero_grad()
        lost.backward()
        optimizer.step()
    nothing = torch.zeros(40, 3, LAYOUT.tokens, LAYOUT.width)
    said, rngs = ["dark", "light"] * 20, [rng(n) for n in range(40)]
    with torch.no_grad():
        films = core.generate(nothing, nothing[..., 0], None, rngs, 4, said)
    light = films.mean((1, 2, 3)) > 0
    assert int((light == torch.tensor([False, True] * 20)).sum()) >= 38


# --- captions of a batch ---------------------------------------------------------------------------------------------


def _sum_motion(columns: Any, dt_s: float) -> dict[str, str]:
    way = columns["x"][-1] - columns["x"][0]
    return {"motion": "right" if way > 0 else "left", "frames": str(len(columns["x"]))}


LINE = Captioner(
    "line", ("x",), {"motion": ("left", "right")}, "",
    _sum_motion, lambda facts, detail: f"{facts['motion']} {facts['frames']} {detail}",
)  # fmt: skip


def batch_of(rows: int = 12) -> dict[str, torch.Tensor]:
    sensors = torch.randn(rows, 6, 3, generator=rng())
    sensors[1, 2, 0] = torch.nan
    valid = torch.ones(rows, 5).bool()
    valid[0, 2:] = False
    return {"sensors": sensors, "valid": valid, "embodiment": torch.zeros(rows, 1).long()}


def test_captions_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CAPTIONERS, "line", LINE)
    batch = batch_of()
    tell = telling(model_of(), batch)
    assert tell is not None and telling(model_of(text=NoTextConfig()), batch) is None
    said = [text.split() for text in tell(5, rng(2))]
    assert said[1] == [] and said[0][1] == "3" and {row[1] for row in said[2:]} == {"5"}
    assert {row[2] for row in said if row} == {"1", "2", "3"}
    ways = batch["sensors"][:, 4, 0] > batch["sensors"][:, 0, 0]
    assert all(row[0] == ("right" if way else "left") for row, way in zip(said[2:], ways[2:], strict=True))
    assert said == [text.split() for text in tell(5, rng(2))] and said != [text.split() for text in tell(5, rng(3))]


def test_a_world_that_nobody_can_caption() -> None:
    with pytest.raises(VideoSimError, match=r"nobody can caption tiny.*push.*text\.kind at none"):
        check_told(model_of())
    check_told(model_of(text=NoTextConfig()))
    tell = telling(model_of(), batch_of())
    assert tell is not None and tell(5, rng()) == [""] * 12


def test_training_on_a_world_with_captions_and_one_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only clips of the former come with words; the checkpoint makes films of them, as any of its bodies."""
    stores = []
    for name in ("sum", "film"):
        store = EpisodeStore.create(tmp_path / name, WORLDS[name])
        for seed in range(6):
            store.append(part(episode(seed), WORLDS[name]))
        stores.append(str(tmp_path / name))
    core = FlowConfig(width=12, layers=2, heads=2, past=3, joint=1.0, patch=1)
    cfg = settings(stores, model=replace(MODEL, dynamics=core), dynamics_steps=3)
    with monkeypatch.context() as patch:
        patch.setitem(CAPTIONERS, "line", replace(LINE, write=lambda facts, detail: facts["motion"]))
        core.text = replace(SMALL, words=["left", "right"])
        read: list[Sequence[str]] = []
        patch.setattr(WordEncoder, "forward", _listening(read, WordEncoder.forward))
        trained = trained_in(tmp_path / "run", cfg)
    assert read.pop(0) == [""] and read  # tried before the training begins
    assert all(set(texts) <= {"left", "right", ""} for texts in read)
    both = [texts for texts in read if len(texts) == cfg.batch]  # of the others all come from the world with sensors
    assert both and not any(any(texts[1::2]) for texts in both)
    model = load_checkpoint(trained.folder)
    with monkeypatch.context() as patch:
        patch.setitem(CAPTIONERS, "line", LINE)
        films = [
            generate(model.embodied(body), find_verb("text-to-video"), Wish(model.spec.frame, frames=4, text=text)).film
            for body, text in (("sum", "left"), ("film", "left"))
        ]
    assert np.array_equal(films[0], films[1])  # nothing but the words decides
    with torch.no_grad():
        said = model.dynamics.text(["left", "right"])  # type: ignore[misc]
    assert not torch.allclose(said[0], said[1], atol=1e-3)
    with pytest.raises(VideoSimError, match="nobody can caption sum"):
        trained_in(tmp_path / "none", replace(cfg, data=stores[0], model=replace(cfg.model, dynamics=core)))


def _listening(read: list[Sequence[str]], forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def listen(self: WordEncoder, texts: Sequence[str]) -> torch.Tensor:
        read.append(texts)
        return forward(self, texts)

    return listen


# --- checkpoints, verbs, settings ------------------------------------------------------------------------------------


def test_the_vocabulary_travels_with_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    save_checkpoint(tmp_path / "told", model, {}, bits=32)
    wish = Wish(SPEC.frame, frames=4, text="the pusher moves left")
    film = generate(model, find_verb("text-to-video"), wish, passes=1).film
    monkeypatch.setattr("videosim.model_config.vocabulary", lambda: ["another", "grammar"])
    again = load_checkpoint(tmp_path / "told")
    assert np.array_equal(generate(again, find_verb("text-to-video"), wish, passes=1).film, film)
    assert isinstance(again.dynamics.text, WordEncoder) and again.dynamics.text.known == vocabulary()


def test_settings_without_text_are_those_of_before() -> None:
    data = to_dict(FlowConfig())
    assert data.pop("text") == {"kind": "none"}
    assert from_dict(FlowConfig, data) == FlowConfig()
    told = FlowConfig(text=WordsConfig(size=12, words=["one"]))
    assert from_dict(FlowConfig, to_dict(told)) == told
    words = ["model.dynamics.text.size=24", "model.dynamics.text.kind=words", "model.dynamics.kind=masked"]
    cfg = to_dataclass(compose("train", TrainConfig, words), "train")
    assert cfg.model.dynamics.kind == "masked" and cfg.model.dynamics.text == WordsConfig(size=24)
    with pytest.raises(VideoSimError, match=r"unknown model.dynamics.text.kind 'flow'; choose none"):
        compose("train", TrainConfig, ["model.dynamics.kind=flow", "model.dynamics.text.kind=flow"])


@pytest.mark.parametrize("kind", ["flow", "masked"])
def test_verbs_of_text(kind: str) -> None:
    model, said = model_of(kind), "the pusher moves left"

    def film(verb: str, text: str | None, **changed: Any) -> np.ndarray:
        wish = Wish(SPEC.frame, **{"source": footage(), "frames": 5, "known": 2, "text": text, **changed})
        return generate(model, find_verb(verb), wish, passes=2).film

    assert film("text-to-video", said).shape == (5, 48, 48, 3) and film("text-to-image", said).shape[0] == 1
    assert np.array_equal(film("text-to-video", said), film("text-to-video", said))
    assert not np.array_equal(film("text-to-video", said), film("text-to-video", "a cheetah"))
    onwards = film("extend-backward", said)
    assert np.array_equal(onwards[-2:], FRAMES[:2]) and not np.array_equal(
        onwards, film("extend-backward", "a cheetah")
    )
    assert np.array_equal(film("image", "a cheetah"), film("text-to-image", "a cheetah"))
    assert not np.array_equal(film("image-to-video", said), film("image-to-video", None))  # made as a whole
    wide = Wish(FrameSpec(48, 96), frames=3, text=said)
    assert generate(model, find_verb("text-to-video"), wish=wide, passes=1).film.shape == (3, 48, 96, 3)
    assert resized(model, FrameSpec(48, 96)).dynamics.text.word.weight is model.dynamics.text.word.weight  # type: ignore[union-attr]


def test_the_command_makes_a_film_of_a_text(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "told", model_of(), {}, bits=32)
    asked = {"checkpoint": tmp_path / "told", "frames": 4, "passes": 1, "text": "'the pusher moves left'"}
    assert run(tmp_path / "out", verb="text-to-video", guidance=1.5, **asked) == 0
    found = result(tmp_path / "out")
    assert found["config"]["text"] == "the pusher moves left" and found["figures"]["frames"]["value"] == 4
    assert found["figures"]["frames_known"]["value"] == 0 and (tmp_path / "out" / "clip.mp4").is_file()
    assert run(tmp_path / "bad", verb="text-to-video", guidance="much", **asked) == 2
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"verb": "text-to-video"}, "needs text=, what it shows"),
        ({"verb": "text-to-video", "text": "'a zebra'"}, "word 'zebra'"),
        ({"verb": "text-to-image", "text": "'a cheetah'", "checkpoint": "wordless"}, "not trained for text"),
        ({"verb": "image", "text": "'a cheetah'", "checkpoint": "wordless"}, "not trained for text"),
        ({"verb": "text-to-video", "text": "'a cheetah'", "checkpoint": "push"}, "not trained for text"),
    ],
)
def test_bad_text_leaves_nothing(
    asked: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "told", model_of(), {}, bits=32)
    save_checkpoint(tmp_path / "wordless", model_of(text=NoTextConfig()), {}, bits=32)
    name = asked.get("checkpoint", "told")
    where = name if name == "push" else tmp_path / name
    assert run(tmp_path / "out", **{**asked, "checkpoint": where}) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
