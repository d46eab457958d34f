"""Published weights on this machine: fetched by name, brought into our layout once, and kept."""

import os
from pathlib import Path

import torch

from solo.checkpoint.class_rows import carried_class_names, coco_class_names, same_classes
from solo.checkpoint.downloads import Remote, fetch_into, partial_file, sha256_of
from solo.checkpoint.lineages import expected_preprocessing, to_solo
from solo.checkpoint.published import Published, find_published
from solo.checkpoint.safetensors_file import SUFFIX, is_whole, write_safetensors
from solo.checkpoint.storage import read_checkpoint
from solo.config.names import PREFIX
from solo.errors import UserError
from solo.files import check_folder


def published_weights(name: str) -> Path:
    """Return the file of published weights in our layout; they are fetched where they are not here yet.

    Args:
        name: See `find_published`.

    Raises:
        UserError: If none are published under that name, or SOLO_ZOO_URL is no address.
        OSError: If they cannot be fetched or kept; it says how to do without a net.
    """
    entry = find_published(name)
    target = cached_path(entry)
    if is_whole(target):
        return target
    folder = target.parent
    check_folder(folder, f"The folder for published weights, {folder} (SOLO_CACHE),")
    with partial_file(folder / f"{entry.file_name}.partial") as partial:
        if is_whole(target):  # another process was quicker
            return target
        placed = _placed(entry)
        if placed is None:
            fetch_into(partial, _remote(entry))
        try:
            _convert(entry, placed or Path(partial.name), target)
        except OSError:  # a full disk gets its room back
            partial.truncate(0)
            raise
    return target


def cached_path(entry: Published) -> Path:
    """Return where published weights lie in our layout, if they were fetched before."""
    return (cache_folder() / entry.file_name).with_suffix(SUFFIX)


def cache_folder() -> Path:
    """Return the folder of published weights: SOLO_CACHE, else one in torch.hub's."""
    chosen = os.environ.get("SOLO_CACHE")
    return Path(chosen).expanduser() if chosen else _hub_folder() / "solo"


def _hub_folder() -> Path:
    """Return where torch.hub keeps weights, and with it torchvision and mmdetection."""
    return Path(torch.hub.get_dir(), "checkpoints")


def _placed(entry: Published) -> Path | None:
    """Return the published file where somebody put it; in our folder it has to be the right one.

    Raises:
        OSError: If it is another one.
    """
    mine, hubs = cache_folder() / entry.file_name, _hub_folder() / entry.file_name
    for path in (mine, hubs):
        if path.is_file():
            digest = sha256_of(path)
            if digest.startswith(entry.sha256):
                return path
            if path == mine:
                raise OSError(
                    f"{path} is not the published file: its sha256 begins with "
                    f"{digest[: len(entry.sha256)]}, not with {entry.sha256}; remove it, or fetch it "
                    f"again from {entry.address}."
                )
    return None


def _remote(entry: Published) -> Remote:
    place = cache_folder() / entry.file_name
    advice = (
        f"fetch {entry.file_name} elsewhere and put it at {place}, or name a mirror in SOLO_ZOO_URL"
    )
    mirror = os.environ.get("SOLO_ZOO_URL", "").rstrip("/")
    if not mirror:
        return Remote((entry.address,), entry.sha256, advice)
    if not mirror.startswith(("https://", "http://", "file://")):
        raise UserError(
            f"SOLO_ZOO_URL is {mirror!r}, which is no address: let it begin with https://, http:// or "
            "file://."
        )
    # A mirror has the folders of the original, or all files in one.
    addresses = dict.fromkeys((f"{mirror}/{entry.path}", f"{mirror}/{entry.file_name}"))
    return Remote(tuple(addresses), entry.sha256, advice)


def _convert(entry: Published, source: Path, target: Path) -> None:
    """Write published weights in our layout, with all that a checkpoint of ours has beside them.

    The original is not needed after that: one that we fetched goes, one that somebody put there stays.
    """
    content = read_checkpoint(source)
    if entry.is_backbone:  # by the names of whoever trained it, which the checkpointer knows
        write_safetensors({"model": content}, target)
        return
    weights, lineage, _ = to_solo(content)
    # All models of the table know COCO's classes, and some files spell them with an underscore.
    coco, names = coco_class_names(), carried_class_names(content)
    names = coco if not names or same_classes(names, coco) else names
    preprocessing = expected_preprocessing(lineage).to_dict()
    beside = {"class_names": names, "preprocessing": preprocessing}
    write_safetensors({"model": weights, "published": PREFIX + entry.name, **beside}, target)
