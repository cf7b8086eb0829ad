"""A sentence as the words that count."""

from __future__ import annotations

import re

UNSAID = {"a", "an", "the"}  # a cheetah and the cheetah are one


def words_of(text: str) -> list[str]:
    """Words in small letters, and commas; no articles, no other marks."""
    return [word for word in re.findall(r"[^\W_]+(?:-[^\W_]+)*|,", text.lower()) if word not in UNSAID]
