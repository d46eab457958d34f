"""Addresses timm://NAME, which detectron2's PathManager learns by importing this: ImageNet weights of timm."""

import difflib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from detectron2.utils.file_io import PathHandler, PathManager
from iopath.common.file_io import get_cache_dir

from solo.checkpoint.preprocessing import Preprocessing
from solo.checkpoint.storage import write_checkpoint
from solo.errors import MissingPackageError, UserError, shortened

PREFIX = "timm://"


class TimmHandler(PathHandler):
    """Gives a file of the weights, which timm fetches the first time, and which stays in iopath's cache."""

    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs: Any) -> str:
        self._check_kwargs(kwargs)
        name = path.removeprefix(PREFIX)
        target = Path(get_cache_dir(), "timm", f"{quote(name, safe='')}.pth")
        if force or not target.is_file():
            content = pretrained(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_checkpoint(content, target)
        return str(target)


def pretrained(name: str) -> dict[str, Any]:
    """Return weights that timm knows, by its own mechanism, as a checkpoint has them.

    Args:
        name: Of timm, "resnet18.a1_in1k"; or with one of timm's sources, "hf-hub:timm/resnet18.a1_in1k".

    Returns:
        The weights by timm's names, and what images they expect.

    Raises:
        MissingPackageError: If timm is not installed.
        UserError: If timm has no weights of that name.
        OSError: If they cannot be fetched.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingPackageError(
            f"{PREFIX}{shortened(name)} needs timm, which is not installed: pip install timm."
        ) from error
    # Without a check timm may return random weights, and only log that.
    if ":" not in name and not timm.is_model_pretrained(name):
        near = difflib.get_close_matches(name, timm.list_pretrained())
        meant = f"; did you mean {' or '.join(near)}?" if near else "."
        raise UserError(f"timm has no weights of the name {shortened(name)}{meant}")
    model = timm.create_model(name, pretrained=True)
    known = model.pretrained_cfg
    expected = Preprocessing(
        input_format="RGB",
        pixel_mean=tuple(255 * value for value in known["mean"]),
        pixel_std=tuple(255 * value for value in known["std"]),
        stride_in_1x1=False,
    )
    return {"model": model.state_dict(), "preprocessing": expected.to_dict()}


PathManager.register_handler(TimmHandler())
