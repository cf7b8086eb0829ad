"""A contact sheet: the frames of a film on one page, as they are, with a bar below each that says how much of it was
known beforehand."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videosim.video import FAINT, GROUND, INK

COLUMNS, MOST = 8, 64  # frames in a row, and on a page
SIDE = 128  # pixels that a small frame is enlarged to
GAP, NUMBER, BAR = 4, 14, 3
KNOWN, MADE = (64, 180, 150), (235, 150, 60)


def contact_sheet(films: Mapping[str, np.ndarray], known: np.ndarray) -> np.ndarray:
    """A page uint8 ``(H', W', 3)`` of films uint8 ``(T, H, W, 3)`` of one length and size, by their labels: rows of
    frames, the films below each other, enlarged by whole pixels. Of many frames it shows some, evenly spaced, the first
    and the last among them.

    known  share of each frame that was known, float (T,) in [0, 1]: the bar below the first film
    """
    count, height, width = next(iter(films.values())).shape[:3]
    picks = np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int))
    scale = max(1, SIDE // max(height, width))
    high, wide = height * scale, width * scale
    label, columns = 12 + max(round(7.5 * max(map(len, films))), 10), min(COLUMNS, len(picks))
    block = NUMBER + len(films) * (high + GAP) + BAR + GAP
    blocks = -(-len(picks) // columns)
    page = Image.new("RGB", (label + columns * (wide + GAP), blocks * block + GAP), GROUND)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for place, t in enumerate(picks):
        left, top = label + place % columns * (wide + GAP), place // columns * block
        draw.text((left, top + NUMBER / 2 + 1), str(t), FAINT, font, anchor="lm")
        top += NUMBER
        for row, (name, film) in enumerate(films.items()):
            if place % columns == 0:
                draw.text((GAP, top + high / 2), name, INK, font, anchor="lm")
            page.paste(Image.fromarray(film[t]).resize((wide, high), Image.Resampling.NEAREST), (left, top))
            top += high + GAP
            if not row:
                share = round(float(known[t]) * wide)
                for begin, end, colour in ((0, share, KNOWN), (share, wide, MADE)):
                    if end > begin:
                        draw.rectangle((left + begin, top - GAP, left + end - 1, top - GAP + BAR - 1), colour)
                top += BAR
    return np.asarray(page)


def png_bytes(picture: np.ndarray) -> bytes:
    """A PNG, without loss, of uint8 ``(H, W, 3)``."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
