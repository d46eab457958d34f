"""What this CPU computes with, and which of several ways of the same work suits it.

Every choice follows from features and from nothing that is measured at run time: so all workers of a run
round alike, and so does a run that is resumed. What the features gain on a machine is measured by
`solo benchmark cpu`; keys of MODEL.CPU and MODEL.MEMORY_FORMAT force another choice.
"""

import os
import platform
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from solo.config.choices import BFloat16, Intersections, Products, choose

# Of ONEDNN_MAX_CPU_ISA: what is left under each limit; a limit that is not here leaves everything.
_UNDER_LIMIT: dict[str, set[str]] = {
    "SSE41": set(),
    "AVX": set(),
    "AVX2": {"avx2"},
    "AVX2_VNNI": {"avx2"},
    "AVX2_VNNI_2": {"avx2"},
    "AVX512_CORE": {"avx2", "avx512"},
    "AVX512_CORE_VNNI": {"avx2", "avx512", "vnni"},
}


class Features(NamedTuple):
    """What matters for a choice.

    Attributes:
        vendor: "intel", "amd", or "" for others, ARM among them.
        avx2: 256-bit vectors.
        avx512: 512-bit vectors, as oneDNN's kernels want them.
        vnni: Products of bytes on such vectors.
        bfloat16: Products in bfloat16, by instructions rather than emulated.
    """

    vendor: str
    avx2: bool
    avx512: bool
    vnni: bool
    bfloat16: bool

    def describe(self) -> str:
        """Name what there is, for people."""
        names = {"avx2": "AVX2", "avx512": "AVX-512", "vnni": "VNNI", "bfloat16": "bfloat16"}
        return ", ".join(name for field, name in names.items() if getattr(self, field)) or "none"


@lru_cache(maxsize=1)
def features() -> Features:
    """Return the features of this CPU, less what torch and oneDNN are told to leave alone.

    They are told by the environment variables ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA.
    """
    found = _instruction_sets()
    has = {
        "avx2": "avx2" in found,
        "avx512": "avx512f" in found and "avx512bw" in found,
        "vnni": "avx512vnni" in found,
        "bfloat16": bool({"avx512bf16", "amxbf16"} & found),
    }
    if not _is_x86():
        # A torch without oneDNN, as on Macs, does not have the operator.
        has["bfloat16"] = (
            torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        return Features("", **has)
    allowed = _UNDER_LIMIT.get(os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper(), set(has))
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        allowed = allowed & {"avx2"}
    return Features(_vendor(), **{key: value and key in allowed for key, value in has.items()})


def intersection_kernel(choice: Intersections = Intersections.AUTO) -> Intersections:
    """Return how the pixels that masks share are counted on a CPU, which is never "auto".

    All are exact. A product of bytes is fastest with VNNI, and one to two hundred times slower than the
    others without.

    Raises:
        UserError: If the choice is no word of MODEL.CPU.INTERSECTIONS.
    """
    choice = choose(Intersections, choice, "MODEL.CPU.INTERSECTIONS")
    if choice is not Intersections.AUTO:
        return choice
    if features().vnni and torch.backends.mkldnn.is_available():
        return Intersections.BYTES
    return Intersections.BITS if hasattr(np, "bitwise_count") else Intersections.FLOAT32


def product_kernel(choice: Products = Products.AUTO) -> Products:
    """Return what multiplies matrices in float32 on a CPU: oneDNN, or BLAS, what `torch.mm` asks.

    On x86 that is MKL, which is two to three times slower than oneDNN on CPUs that are not Intel's.
    Elsewhere `torch.mm` chooses between OpenBLAS and oneDNN itself.

    Raises:
        UserError: If the choice is no word of MODEL.CPU.PRODUCTS.
    """
    choice = choose(Products, choice, "MODEL.CPU.PRODUCTS")
    if choice is not Products.AUTO:
        return choice
    # A private operator: another torch may not have it.
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    has_onednn = torch.backends.mkldnn.is_available() and known
    suits = has_onednn and _is_x86() and features().vendor != "intel"
    return Products.ONEDNN if suits else Products.BLAS


def prefers_channels_last(*, training: bool) -> bool:
    """Tell whether convolutions on this CPU are faster in channels-last.

    Without AVX-512 the gradients of a convolution take half as long again in it.
    """
    return features().avx512 or not training


def computes_in_bfloat16(choice: BFloat16 = BFloat16.AUTO) -> bool:
    """Tell whether mixed precision on this CPU is to be in bfloat16 instead of having no effect.

    oneDNN takes bfloat16 on more CPUs than compute in it, and emulates it, slower than float32.

    Raises:
        UserError: If the choice is no word of MODEL.CPU.BFLOAT16.
    """
    choice = choose(BFloat16, choice, "MODEL.CPU.BFLOAT16")
    return features().bfloat16 if choice is BFloat16.AUTO else choice is BFloat16.ON


def usable_cores() -> int:
    """Return how many cores this process may use, which may be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def name() -> str:
    """Return what the maker calls this CPU, as far as the system tells."""
    return _of_linux("model name") or platform.processor() or platform.machine()


def _instruction_sets() -> set[str]:
    """Return the instruction sets of an x86 CPU, without underscores: avx2, avx512f, avx512vnni ..."""
    if not _is_x86():
        return set()
    if hasattr(torch.cpu, "get_capabilities"):
        names = {name for name, has in torch.cpu.get_capabilities().items() if has is True}
    else:
        names = set(_of_linux("flags").split())
    return {name.replace("_", "") for name in names}


def _vendor() -> str:
    # On Windows the name of the processor has the vendor, on Macs it is always the same.
    text = (_of_linux("vendor_id") or platform.processor()).lower()
    for word, vendor in (("intel", "intel"), ("amd", "amd"), ("i386", "intel")):
        if word in text:
            return vendor
    return ""


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _of_linux(field: str) -> str:
    """Return what Linux says of the first core; nothing where there is no Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    match = re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else ""
