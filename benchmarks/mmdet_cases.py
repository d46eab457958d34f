"""The cases of the comparison with mmdetection, by name: the cheap ones first."""

from collections.abc import Sequence

from made_up import Workload
from mmdet_instances import Infer, Post
from mmdet_sides import Case, Targets, TargetsAndLosses, Train

# Of the original image, and of the network's input.
_SIZES = {(480, 640): (800, 1088), (1024, 2048): (672, 1344)}

_Row = tuple[type[Case], str, str, Workload]


def cases(quick: bool, opts: Sequence[str] = (), *, mmdet_amp: bool = False) -> list[Case]:
    """Build all cases.

    Args:
        quick: Whether to make them tiny: to see that they work, not what they take.
        opts: Config keys of our side.
        mmdet_amp: Whether mmdet runs in mixed precision.
    """
    rows = [*_loss_cases(), *_post_cases(), *_infer_cases(), *_train_cases()]
    return [
        kind(name, model, _tiny(workload) if quick else workload, opts, mmdet_amp=mmdet_amp)
        for kind, name, model, workload in rows
    ]


def _loss_cases() -> list[_Row]:
    rows = []
    for objects in (5, 20, 80):
        for images in (1, 2):
            workload = Workload(images=images, objects=objects)
            rows.append((Targets, f"targets-{images}x{objects}", "solov2", workload))
        rows.append((TargetsAndLosses, f"targets_losses-2x{objects}", "solov2", workload))
    return rows


def _post_cases() -> list[_Row]:
    rows = []
    for original, size in _SIZES.items():
        for candidates in (10, 100, 500):
            workload = Workload(size, original, candidates=candidates)
            rows.append((Post, f"post-{candidates}-{_name(original)}", "solov2", workload))
        workload = Workload(size, original, candidates=100, filling=True)
        rows.append((Post, f"post-filling-{_name(original)}", "solov2", workload))
    return rows


def _infer_cases() -> list[_Row]:
    rows = []
    for original, size in _SIZES.items():
        for candidates in (100, 500):
            workload = Workload(size, original, candidates=candidates)
            rows.append((Infer, f"infer-{candidates}-{_name(original)}", "solov2", workload))
    light = Workload((448, 608), (480, 640), candidates=500)
    return [*rows, (Infer, "infer-light-500-480x640", "light", light)]


def _train_cases() -> list[_Row]:
    size = (800, 1344)
    return [
        (Train, "train-solo-1x20", "solo", Workload(size, objects=20)),
        (Train, "train-decoupled-1x20", "decoupled", Workload(size, objects=20)),
        (Train, "train-solov2-2x80", "solov2", Workload(size, images=2, objects=80)),
    ]


def _name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _tiny(workload: Workload) -> Workload:
    candidates = min(workload.candidates or 0, 20)
    return workload._replace(
        size=(96, 128),
        original=(60, 100),
        objects=min(workload.objects, 4),
        candidates=candidates,
    )
