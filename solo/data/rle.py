"""COCO's compressed run lengths, which pycocotools decodes without looking whether they fit."""

from solo.errors import UserError


def run_lengths(counts: str | bytes) -> list[int]:
    """Return the lengths of the runs of a compressed RLE, of zeros first.

    A character holds five bits of a number, the lowest first, and one that says whether more
    follow; the last holds the sign. From the third on, numbers are differences to the last but one.

    Raises:
        UserError: If they end within a number.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode("ascii") if isinstance(counts, str) else counts:
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise UserError("its counts are cut off")
    return runs
