"""Addresses solo://NAME, which detectron2's PathManager learns by importing this: a config, or its weights."""

from typing import IO, Any

from detectron2.utils.file_io import PathHandler, PathManager

from solo.checkpoint.weights_cache import published_weights
from solo.config.names import PREFIX, named_config
from solo.errors import UserError


class SoloHandler(PathHandler):
    """Gives the config of a name to whoever opens it, and the weights to whoever wants a file on the disk."""

    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs: Any) -> str:
        self._check_kwargs(kwargs)
        return str(published_weights(path))

    def _open(
        self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any
    ) -> IO[str] | IO[bytes]:
        self._check_kwargs(kwargs)
        if mode not in ("r", "rt", "rb"):
            raise UserError(
                f"{path} comes with solo and is only read: it cannot be opened as {mode!r}."
            )
        return PathManager.open(str(named_config(path)), mode, buffering=buffering)

    def _exists(self, path: str, **kwargs: Any) -> bool:
        return self._isfile(path, **kwargs)

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        self._check_kwargs(kwargs)
        try:
            return named_config(path).is_file()
        except FileNotFoundError:
            return False


PathManager.register_handler(SoloHandler())
