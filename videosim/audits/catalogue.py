"""The audits there are, in the order in which they are asked: an audit comes after its gates."""

from __future__ import annotations

from videosim.audits import (
    coasts,
    coherence,
    doses,
    efficiency,
    explanation,
    identity,
    intervention,
    lasting,
    likeness,
    permanence,
    resampling,
    rewards,
    successor,
    surprise,
)
from videosim.audits.audit import Audit

AUDITS: dict[str, Audit] = {
    module.AUDIT.name: module.AUDIT
    for module in (
        *(intervention, identity, permanence, coasts, resampling, doses, lasting, coherence),
        *(surprise, explanation, efficiency, rewards, likeness, successor),
    )
}
