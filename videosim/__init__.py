"""Learned video world models as gymnasium environments. Importing this registers the environment ids, and no more."""

from importlib.metadata import PackageNotFoundError, version

from videosim.registration import register_envs

try:
    __version__ = version("videosim")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

register_envs()
