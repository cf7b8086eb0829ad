"""One exception for everything a user can mend. The command line prints its sentence and exits with status 2."""

from __future__ import annotations


class VideoSimError(ValueError):
    """Bad input: the message is one sentence that names the fault and the mend."""


def first_line(fault: BaseException) -> str:
    """Of what ``fault`` says; its name where it says nothing."""
    return (str(fault).splitlines() or [type(fault).__name__])[0].rstrip(".")
