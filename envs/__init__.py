"""Environments: ground-truth physics, the learned simulator, and both in lockstep."""

if __name__ != "videosim.envs":
    raise ImportError(f"import this package as 'videosim.envs', not {__name__!r}")
