"""Which images are held out from training, to evaluate with: a function of their names."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Set
from fractions import Fraction

# Of the images.
SHARE = Fraction(1, 5)


def held_out(classes: Mapping[str, Set[int]]) -> set[str]:
    """Return which images to hold out: a fifth, one at least, and of each class some if that is possible.

    Names are in an order that looks random and depends on nothing but themselves. First each class, the
    rarest first, gives its first image, then all images in turn; one stays if it is the last of a class.

    Args:
        classes: Of the objects of each image, by the name of the image, with slashes.

    Returns:
        Names; empty for a single image.
    """
    names = sorted(classes, key=lambda name: hashlib.sha256(name.encode()).digest())
    left = Counter(
        one for name in names for one in classes[name]
    )  # images to train on, of each class
    # Half of the images stay, and one of them with objects.
    wanted, most = max(1, round(SHARE * len(names))), len(names) // 2
    chosen: dict[str, None] = {}

    def take(name: str) -> bool:
        """Hold an image out, unless a class would have none to train on."""
        if name in chosen or any(left[one] == 1 for one in classes[name]):
            return False
        left.subtract(classes[name])
        chosen[name] = None
        return True

    for one in sorted(left, key=lambda one: (left[one], one)):
        if len(chosen) < most and not any(one in classes[name] for name in chosen):
            any(take(name) for name in names if one in classes[name])
    # Images without objects tell little of a model, and come last.
    for name in sorted(names, key=lambda name: not classes[name]):
        if len(chosen) >= min(wanted, most):
            break
        take(name)
    return set(chosen)
