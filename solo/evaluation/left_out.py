"""Images that cannot be read do not end an evaluation: they are left out of it, counted and named."""

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from detectron2.utils import comm
from tqdm import tqdm

from solo.errors import UserError
from solo.images import UnreadableImageError, WrongSizeError, check_size, image_size

logger = logging.getLogger(__name__)

Item = dict[str, Any]

# In an item in place of its image: why there is none.
_REASON = "unreadable"
# The others are counted.
_NAMED = 5


@dataclass(frozen=True)
class OrReason:
    """Read the images of records; in the place of one that cannot be read stands why."""

    read: Callable[[Item], Item]

    def __call__(self, record: Item) -> Item:
        """Return what `read` returns, or an item that `LeftOut` takes out."""
        try:
            return self.read(record)
        # OSError: what other mappers let through.
        except (UnreadableImageError, WrongSizeError, OSError) as error:
            named = {key: record.get(key) for key in ("image_id", "file_name")}
            return {**named, _REASON: str(error)}


class LeftOut:
    """The images of an evaluation that could not be read, of all processes together."""

    def __init__(self, name: str) -> None:
        """Begin an evaluation on a data set of this name."""
        self._name = name
        self._read: list[Any] = []
        self._unread: list[tuple[str, str]] = []

    def take_from(self, batch: Sequence[Item]) -> list[Item]:
        """Return the items of a batch that have their image."""
        items = [item for item in batch if _REASON not in item]
        self._read += [item.get("image_id") for item in items]
        self._unread += [
            (str(item.get("file_name")), item[_REASON]) for item in batch if _REASON in item
        ]
        return items

    def gather(self, image_ids: Sequence[Any] | None) -> list[Any] | None:
        """Return the images whose objects count, once each process has seen all of its own.

        Args:
            image_ids: Of those that are to be measured. None: all.

        Returns:
            The same, less those that are left out. None: all.

        Raises:
            UserError: If no image could be read.
        """
        gathered = comm.all_gather((self._read, self._unread))
        self._read, self._unread = (
            list(itertools.chain(*part)) for part in zip(*gathered, strict=True)
        )
        if not self._unread:
            return None if image_ids is None else list(image_ids)
        if not self._read:
            raise UserError(
                f"none of the {len(self._unread)} images of {self._name} can be evaluated. The first: "
                f"{self._unread[0][1]}"
            )
        return [image for image in self._read if image_ids is None or image in image_ids]

    def tell(self, how: str = "could not be read and are not measured") -> None:
        """Say below the tables what they leave out, or before them what they are going to."""
        if not self._unread:
            return
        names = ", ".join(name for name, _ in self._unread[:_NAMED])
        more = len(self._unread) - _NAMED
        logger.warning(
            "%d of %d images of %s %s: %s%s. The first: %s",
            len(self._unread),
            len(self._read) + len(self._unread),
            self._name,
            how,
            names,
            f", ... and {more} more" if more > 0 else "",
            self._unread[0][1],
        )


def look_ahead(name: str, records: Sequence[Item], max_pixels: int) -> None:
    """Tell by the headers of the files, hours before it, which images an evaluation will leave out.

    Every process has to call it, with all the records; each looks at its share.

    Args:
        name: Of the data set.
        records: In detectron2's standard format.
        max_pixels: See `solo.images.read_image`.

    Raises:
        UserError: If no image can be read.
    """

    def look(record: Item) -> Item:
        check_size(record, image_size(record["file_name"], max_pixels))
        return record

    left_out = LeftOut(name)
    share = records[comm.get_rank() :: comm.get_world_size()]
    left_out.take_from(
        [OrReason(look)(record) for record in tqdm(share, name, disable=None, leave=False)]
    )
    left_out.gather(None)
    left_out.tell("will not be measured")
