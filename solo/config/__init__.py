"""Every key, what its words may be, and the way from a file to a config that is complete."""

from solo.config.defaults import add_solo_config, get_cfg

__all__ = ["add_solo_config", "get_cfg"]
