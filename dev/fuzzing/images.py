"""Image files with damaged headers, chunks and EXIF: read, checked by their headers, and mapped."""

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzzing.changes import change_bytes
from fuzzing.kind import Kind
from fuzzing.outcomes import Outcome, Verdict, attempt, errors_among, worst, wrong
from solo.config import get_cfg
from solo.data import SOLODatasetMapper
from solo.data.checks import check_records
from solo.images import read_picture

_HEIGHT, _WIDTH = 24, 32
# Most of what matters stands in the first bytes.
_HEADER = 120
_PNG = b"\x89PNG\r\n\x1a\n"
_OBJECT = {
    "bbox": [4, 4, 20, 20],
    "bbox_mode": 0,
    "category_id": 0,
    "segmentation": [[4, 4, 20, 4, 20, 20, 4, 20]],
}
# Where the sides stand: offset and form.
_SIDES = {".png": (16, ">II"), ".gif": (6, "<HH"), ".bmp": (18, "<ii")}
_FALSE_SIDES = (0, 1, 7, 3000, 20_000, 65_535, 1_000_000, 2**31 - 1)


class Images(Kind):
    """Files of every format that people have, with one to three changes."""

    name, cases = "images", 2_000

    def __init__(self, folder: Path) -> None:
        """Make the files, in memory."""
        self.files = list(valid_files())
        cfg = get_cfg()
        cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (24,), 48
        cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 24, 48
        self.train, self.test = SOLODatasetMapper(cfg, True), SOLODatasetMapper(cfg, False)

    def write(self, rng: random.Random, folder: Path) -> Path:
        """Write a file with one to three changes; half of the PNGs have right checksums."""
        suffix, data = rng.choice(self.files)
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = _changed(data, suffix, rng)
        if suffix == ".png" and rng.random() < 0.5:
            data = _with_checksums(data)
        path = folder / f"fuzzed{suffix}"
        path.write_bytes(data)
        return path

    def run(self, rng: random.Random, path: Path) -> Outcome:
        """Read it as the demo, the check and both mappers do; what is clean can be mapped."""
        names = (path.name,)
        read, image = attempt(names, read_picture, path)
        height, width = (_HEIGHT, _WIDTH) if image is None else image.shape[:2]
        record = {"file_name": str(path), "image_id": 1, "height": height, "width": width}
        header, refused = attempt(names, _errors, record, read_images=False)
        pixels, errors = attempt(names, _errors, record, read_images=True)
        record["annotations"] = [_OBJECT]
        mapped = [
            attempt(names, self.train, record)[0],
            attempt(names, self.test, record)[0],
            attempt(names, self.train.sample, dict(record), fit=(12.0, 12.0))[0],
        ]
        outcome = worst([read, header, pixels, *mapped])
        if image is not None and (damage := _damage(path)):
            return wrong("a damaged image is read as if it were whole", "images", damage)
        if pixels.verdict is Verdict.OK and not errors and worst(mapped).verdict is not Verdict.OK:
            return worst(mapped)._replace(verdict=Verdict.CLEAN)
        if outcome.verdict is Verdict.OK and refused:
            return wrong("the check refuses what can be read", "check", refused[0])
        return outcome


def _damage(path: Path) -> str:
    """Return what Pillow says of a file, asked directly."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:
        return repr(error)
    return ""


def _errors(record: dict[str, Any], *, read_images: bool) -> list[str]:
    return errors_among(check_records([record], read_images=read_images))


def valid_files() -> list[tuple[str, bytes]]:
    """Return suffix and content of small images of all formats, depths and orientations."""
    pixels = np.random.default_rng(0).integers(0, 255, (_HEIGHT, _WIDTH, 3), dtype=np.uint8)
    color = Image.fromarray(pixels)
    grey, deep = color.convert("L"), Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    real = Image.fromarray(pixels[..., 0].astype(np.float32))
    files = [_saved(color, ".jpg", exif=_exif(turn)) for turn in range(1, 9)]
    files += [_saved(color, ".png", exif=_exif(6)), _saved(color, ".webp", exif=_exif(3))]
    for image in (color, grey, deep, color.convert("P"), color.convert("RGBA"), color.convert("1")):
        files += [_saved(image, ".png"), _saved(image, ".tif")]
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        files.append(_saved(color, ".tif", compression=compression))
    files += [_saved(real, ".tif"), _saved(color.convert("CMYK"), ".jpg"), _saved(grey, ".jpg")]
    files += [_saved(color, ".jpg", progressive=True), _saved(color, ".webp", lossless=True)]
    files += [_saved(color, ".bmp"), _saved(grey, ".bmp"), _saved(color, ".ppm")]
    files.append(_saved(color, ".gif", save_all=True, append_images=[color.rotate(90)]))
    return files


def _saved(image: Image.Image, suffix: str, **options: Any) -> tuple[str, bytes]:
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[suffix], **options)
    return suffix, file.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = orientation, "maker", "2026:01:01 00:00:00"
    return exif


def _changed(data: bytes, suffix: str, rng: random.Random) -> bytes:
    choice = rng.randrange(6)
    if choice == 0:
        return _resized(data, suffix, rng)
    if choice == 1 and (place := data.find(b"Exif")) >= 0:
        return change_bytes(data, rng, start=place, end=min(place + 100, len(data)))
    if choice == 2 and suffix == ".png":
        return _rearranged(data, rng)
    if choice <= 3:
        return change_bytes(data, rng, end=min(_HEADER, len(data)))
    return change_bytes(data, rng)


def _resized(data: bytes, suffix: str, rng: random.Random) -> bytes:
    """Write other sides, often huge ones, into the header."""
    place, form = _SIDES.get(suffix, (-1, ">HH"))
    if suffix == ".jpg":
        place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
    sides = rng.choice(_FALSE_SIDES), rng.choice(_FALSE_SIDES)
    if place < 0 or place + struct.calcsize(form) > len(data):
        return change_bytes(data, rng)
    largest = 65_535 if "H" in form else 2**31 - 1
    packed = struct.pack(form, *(min(side, largest) for side in sides))
    changed = data[:place] + packed + data[place + len(packed) :]
    return _with_checksums(changed) if suffix == ".png" else changed


def _chunks(data: bytes) -> list[bytes]:
    """Return the chunks of a PNG, kind and content of each, as far as they can be told apart."""
    chunks, place = [], len(_PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append(data[place + 4 : place + 8 + length])
        place += 12 + length
    return chunks


def _joined(chunks: list[bytes]) -> bytes:
    parts = [
        struct.pack(">I", max(0, len(chunk) - 4)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    ]
    return _PNG + b"".join(parts)


def _with_checksums(data: bytes) -> bytes:
    return _joined(_chunks(data))


def _rearranged(data: bytes, rng: random.Random) -> bytes:
    """Remove, repeat or exchange chunks, or put a strange one among them."""
    chunks = _chunks(data)
    place, other = rng.randrange(len(chunks) + 1), rng.randrange(len(chunks) + 1)
    strange = rng.choice((b"tEXt", b"zTXt", b"iCCP", b"acTL", b"fcTL", b"PLTE", b"tRNS", b"eXIf"))
    bomb = b"key\x00\x00" + zlib.compress(bytes(rng.choice((10, 2**20, 2**27))))
    chunks[place:other] = rng.choice(([], chunks[place:other] * 2, [strange + bomb], chunks[::-1]))
    return _joined(chunks)
