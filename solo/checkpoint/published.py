"""Weights that others have published, by the name of the config that they go with."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from solo.config.names import PREFIX, config_names, meant, plain_name
from solo.errors import UserError, shortened

_OPENMMLAB = "https://download.openmmlab.com/mmdetection/v2.0/"
_PYTORCH = "https://download.pytorch.org/models/"
# The release of YOLOX, and every one after it, whose weights take pixels as they are.
_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file of weights in the net.

    Attributes:
        name: Of the config that comes with solo and goes with it; imagenet/... is a backbone alone.
        base: Beginning of the address, in whose place a mirror may stand.
        path: End of the address.
        average_precision: On COCO val as its authors report it, in percent; None of a backbone.
        parameters: How many the model learns.
        licence: Of the weights.
        source_config: What its authors call the config: of mmdetection or YOLOX, or the weights of torchvision.
        finds: What the AP is of: "masks" or "boxes".
        digest: Its sha256, where the end of its name does not say how it begins.
    """

    name: str
    path: str
    average_precision: float | None
    parameters: int
    source_config: str
    base: str = _OPENMMLAB
    licence: str = "Apache-2.0"
    finds: str = "masks"
    digest: str = ""

    @property
    def is_backbone(self) -> bool:
        """Whether it is trained on ImageNet, to begin a training from."""
        return self.name.startswith("imagenet/")

    @property
    def address(self) -> str:
        """Where it was published."""
        return self.base + self.path

    @property
    def file_name(self) -> str:
        """What the file is called there."""
        return PurePosixPath(self.path).name

    @property
    def sha256(self) -> str:
        """How its sha256 begins: all of it, or the 8 hex digits at the end of its name."""
        return self.digest or PurePosixPath(self.path).stem.rpartition("-")[2]


def _mmdet(
    name: str, config: str, stamp: str, average_precision: float, parameters: int
) -> Published:
    """Return a file of mmdetection, which has the name of its config twice and a stamp in the address.

    Args:
        name: See `Published`.
        config: Of mmdetection, below its configs, without ".py".
        stamp: Path below the method's folder up to the stamp of time and hash, "FOLDER/STAMP".
        average_precision: See `Published`.
        parameters: See `Published`.
    """
    method = config.partition("/")[0]
    folder, _, time_and_hash = stamp.partition("/")
    return Published(
        name=f"coco/{name}",
        path=f"{method}/{folder}/{folder}_{time_and_hash}.pth",
        average_precision=average_precision,
        parameters=parameters,
        source_config=f"{config}.py",
    )


def _yolox(name: str, average_precision: float, parameters: int, digest: str) -> Published:
    return Published(
        name=f"coco/{name}",
        base=_YOLOX,
        path=f"{name}.pth",
        average_precision=average_precision,
        parameters=parameters,
        source_config=f"exps/default/{name}.py",
        finds="boxes",
        digest=digest,
    )


def _torchvision(name: str, file_name: str, source_config: str, parameters: int) -> Published:
    return Published(
        name=f"imagenet/{name}",
        base=_PYTORCH,
        path=file_name,
        average_precision=None,
        parameters=parameters,
        source_config=source_config,
        licence="BSD-3-Clause",
    )


# fmt: off
_TABLE = (
    _mmdet("solo_R_50_FPN_1x", "solo/solo_r50_fpn_1x_coco",
           "solo_r50_fpn_1x_coco/20210821_035055-2290a6b8", 33.1, 36_248_112),
    _mmdet("solo_R_50_FPN_3x", "solo/solo_r50_fpn_3x_coco",
           "solo_r50_fpn_3x_coco/20210901_012353-11d224d7", 35.9, 36_248_112),
    _mmdet("decoupled_solo_R_50_FPN_1x", "solo/decoupled-solo_r50_fpn_1x_coco",
           "decoupled_solo_r50_fpn_1x_coco/20210820_233348-6337c589", 33.9, 39_975_440),
    _mmdet("decoupled_solo_R_50_FPN_3x", "solo/decoupled-solo_r50_fpn_3x_coco",
           "decoupled_solo_r50_fpn_3x_coco/20210821_042504-7b3301ec", 36.7, 39_975_440),
    _mmdet("decoupled_solo_light_R_50_FPN_3x", "solo/decoupled-solo-light_r50_fpn_3x_coco",
           "decoupled_solo_light_r50_fpn_3x_coco/20210906_142703-e70e226f", 32.9, 32_301_072),
    _mmdet("solov2_R_50_FPN_1x", "solov2/solov2_r50_fpn_1x_coco",
           "solov2_r50_fpn_1x_coco/20220512_125858-a357fa23", 34.8, 46_539_792),
    _mmdet("solov2_R_50_FPN_3x", "solov2/solov2_r50_fpn_ms-3x_coco",
           "solov2_r50_fpn_3x_coco/20220512_125856-fed092d4", 37.5, 46_539_792),
    _mmdet("solov2_R_101_FPN_3x", "solov2/solov2_r101_fpn_ms-3x_coco",
           "solov2_r101_fpn_3x_coco/20220511_095119-c559a076", 39.1, 65_479_696),
    _mmdet("solov2_dcn_R_101_FPN_3x", "solov2/solov2_r101-dcn_fpn_ms-3x_coco",
           "solov2_r101_dcn_fpn_3x_coco/20220513_214734-16c966cb", 41.2, 68_623_774),
    _mmdet("solov2_dcn_X_101_64x4d_FPN_3x", "solov2/solov2_x101-dcn_fpn_ms-3x_coco",
           "solov2_x101_dcn_fpn_3x_coco/20220513_214337-aef41095", 42.4, 113_217_694),
    _mmdet("solov2_light_448_R_18_FPN_3x", "solov2/solov2-light_r18_fpn_ms-3x_coco",
           "solov2_light_r18_fpn_3x_coco/20220511_083717-75fa355b", 29.7, 18_262_160),
    _mmdet("solov2_light_448_R_34_FPN_3x", "solov2/solov2-light_r34_fpn_ms-3x_coco",
           "solov2_light_r34_fpn_3x_coco/20220511_091839-e51659d3", 31.9, 28_362_896),
    _mmdet("solov2_light_448_R_50_FPN_3x", "solov2/solov2-light_r50_fpn_ms-3x_coco",
           "solov2_light_r50_fpn_3x_coco/20220512_165256-c93a6074", 33.7, 31_287_440),
    # The hashes are those that several projects, independent of each other, check these files by.
    _yolox("yolox_nano", 25.8, 912_159,
           "cd28f55fbbc1829f99d9ac9b38a16d259a22889739c8728ea877610201feff7b"),
    _yolox("yolox_tiny", 32.8, 5_055_855,
           "9de513de589ac98bb92d3bca53b5af7b9acfa9b0bacb831f7999d0f7afaee8f0"),
    _yolox("yolox_s", 40.5, 8_968_255,
           "f55ded7181e1b0c13285c56e7790b8f0e8f8db590fe4edb37f0b7f345c913a30"),
    _yolox("yolox_m", 46.9, 25_326_495,
           "60076992b32da82951c90cfa7bd6ab70eba9eda243e08b940a396f60ac2d19b6"),
    _yolox("yolox_l", 49.7, 54_208_895,
           "1e6b7fa6240375370b2a8a8eab9066b3cdd43fd1d0bfa8d2027fd3a51def2917"),
    _yolox("yolox_x", 51.1, 99_071_455,
           "5652330b6ae860043f091b8f550a60c10e1129f416edfdb65c259be6caf355cf"),
    _torchvision("resnet18", "resnet18-f37072fd.pth", "ResNet18_Weights.IMAGENET1K_V1", 11_689_512),
    _torchvision("resnet34", "resnet34-b627a593.pth", "ResNet34_Weights.IMAGENET1K_V1", 21_797_672),
    _torchvision("resnext101_64x4d", "resnext101_64x4d-173b62eb.pth",
                 "ResNeXt101_64X4D_Weights.IMAGENET1K_V1", 83_455_272),
)
# fmt: on

PUBLISHED: dict[str, Published] = {entry.name: entry for entry in _TABLE}


def find_published(name: str) -> Published:
    """Return the weights that a name stands for.

    Args:
        name: Of a config that comes with solo, or of a backbone; with or without ".yaml" or "solo://".

    Raises:
        UserError: If there are none; it says of which names, like it, there are some.
    """
    name = plain_name(name)
    if name not in PUBLISHED:
        models = ", ".join(known for known, entry in PUBLISHED.items() if not entry.is_backbone)
        instead = f"; there are for {models}." if name in config_names() else meant(name, PUBLISHED)
        raise UserError(f"No weights are published for {PREFIX}{shortened(name)}{instead}")
    return PUBLISHED[name]


def meant_published(path: str) -> str:
    """Return the end of a sentence about a file that there is not: that its path is a published name."""
    name = plain_name(path)
    return f"; the published weights of that name are {PREFIX}{name}" if name in PUBLISHED else ""
