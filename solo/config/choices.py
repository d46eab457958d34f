"""The keys that are a word, and the words that each may be; yaml files spell them as here."""

from typing import TypeVar

from detectron2.config import CfgNode

from solo.config.word import Word
from solo.errors import UserError

W = TypeVar("W", bound=Word)


class LearntFrom(Word):
    """What the masks that a model predicts are learnt from."""

    MASK = "mask"
    BOX = "box"


class Collisions(Word):
    """What becomes of a cell that several instances claim."""

    ALL = "all"
    LAST = "last"
    SMALLEST = "smallest"


class Assignment(Word):
    """Which cells are positive: all of a region, or those whose classes and masks fit an object best at present."""

    GRID = "grid"
    DYNAMIC = "dynamic"


class Center(Word):
    """What the positive cells of an object lie around: the centre of its mask's mass, or of its box."""

    MASS = "mass"
    BOX = "box"


class CategoryLoss(Word):
    """The loss of the category logits: of each class against all else, of one class among all, or by mask quality."""

    FOCAL = "focal"
    SOFTMAX = "softmax"
    QUALITY_FOCAL = "quality_focal"
    VARIFOCAL = "varifocal"
    RANK_SORT = "rank_sort"


class CategoryNormalizer(Word):
    """What is added to the positive cells that the category loss is divided by: one, or the images."""

    POSITIVES = "positives"
    IMAGES = "images"


class Freeze(Word):
    """Which part of the model training leaves as it is."""

    NONE = "none"
    BACKBONE = "backbone"
    ALL_BUT_HEAD = "all_but_head"


class Recompute(Word):
    """What training computes again on the way back instead of keeping it."""

    NONE = "none"
    CHEAP = "cheap"
    ALL = "all"


class DeformConvs(Word):
    """Which convolutions of a tower are deformable."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class CoordinateEncoding(Word):
    """How the heads tell convolutions where a pixel is."""

    LINEAR = "linear"
    FOURIER = "fourier"
    NONE = "none"


class NeckName(Word):
    """What makes the levels of a pyramid of a network's features."""

    FPN = "fpn"
    PAFPN = "pafpn"
    BIFPN = "bifpn"


class NMS(Word):
    """How instances that were found twice are suppressed."""

    MATRIX = "matrix"
    MASK = "mask"


class NMSKernel(Word):
    """How matrix NMS lets scores decay with the overlap."""

    GAUSSIAN = "gaussian"
    LINEAR = "linear"


class MaskFormat(Word):
    """What found masks are kept in."""

    BITMASK = "bitmask"
    RLE = "rle"


class Activation(Word):
    """What follows the normalisation of YOLOX's convolutions."""

    SILU = "silu"
    LEAKY_RELU = "leaky_relu"
    RELU = "relu"


class YOLOXHeadName(Word):
    """What finds boxes in the features of YOLOX's neck."""

    DECOUPLED = "decoupled"
    ANCHORS = "anchors"


class Matching(Word):
    """Which anchors learn an object: the best of all, or all of a similar size."""

    BEST = "best"
    RATIO = "ratio"


class MemoryFormat(Word):
    """How weights and features lie in memory."""

    AUTO = "auto"
    CHANNELS_LAST = "channels_last"
    CONTIGUOUS = "contiguous"


class Intersections(Word):
    """How a CPU counts the pixels that masks share."""

    AUTO = "auto"
    BYTES = "bytes"
    BITS = "bits"
    FLOAT32 = "float32"


class Products(Word):
    """What multiplies matrices of float32 on a CPU."""

    AUTO = "auto"
    ONEDNN = "onednn"
    BLAS = "blas"


class BFloat16(Word):
    """Whether mixed precision on a CPU is in bfloat16."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Optimizer(Word):
    """What changes the weights."""

    SGD = "SGD"
    ADAMW = "AdamW"


class ClipType(Word):
    """The norm of which gradients is limited: of all together, of each parameter; or each value."""

    FULL_MODEL = "full_model"
    NORM = "norm"
    VALUE = "value"


class Schedule(Word):
    """How the learning rate changes."""

    STEPS = "WarmupMultiStepLR"
    COSINE = "WarmupCosineLR"
    COSINE_FLAT = "WarmupCosineFlatLR"


class TrainSampler(Word):
    """In which order training sees the images."""

    TRAINING = "TrainingSampler"
    REPEAT_FACTOR = "RepeatFactorTrainingSampler"


class AnnotationFormat(Word):
    """What annotations are written in; "auto" tells the others apart."""

    AUTO = "auto"
    COCO = "coco"
    YOLO = "yolo"
    LABELME = "labelme"
    VIA = "via"
    CVAT = "cvat"
    VOC_XML = "voc_xml"
    VISDRONE = "visdrone"


class BestMetric(Word):
    """The AP that chooses the best checkpoint, by its name in metrics.json."""

    MASK = "segm/AP"
    BOUNDARY = "boundary/AP"
    BOX = "bbox/AP"


class MetricLogger(Word):
    """Where the numbers of a training go beside the log and metrics.json."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"


KEYS: dict[str, type[Word]] = {
    "MODEL.SOLO.LOSS.SUPERVISION": LearntFrom,
    "MODEL.SOLO.COLLISIONS": Collisions,
    "MODEL.SOLO.CENTER": Center,
    "MODEL.SOLO.ASSIGNMENT": Assignment,
    "MODEL.SOLO.LOSS.CATEGORY": CategoryLoss,
    "MODEL.SOLO.LOSS.CATEGORY_NORMALIZER": CategoryNormalizer,
    "MODEL.SOLO.FREEZE": Freeze,
    "MODEL.SOLO.RECOMPUTE": Recompute,
    "MODEL.SOLO.DEFORM_CONVS": DeformConvs,
    "MODEL.SOLO.COORDINATES": CoordinateEncoding,
    "MODEL.NECK.NAME": NeckName,
    "MODEL.SOLO.TEST.NMS": NMS,
    "MODEL.SOLO.TEST.NMS_KERNEL": NMSKernel,
    "MODEL.SOLO.TEST.MASK_FORMAT": MaskFormat,
    "MODEL.YOLOX.ACTIVATION": Activation,
    "MODEL.YOLOX.HEAD": YOLOXHeadName,
    "MODEL.YOLOX.ANCHORS.MATCHING": Matching,
    "MODEL.MEMORY_FORMAT": MemoryFormat,
    "MODEL.CPU.INTERSECTIONS": Intersections,
    "MODEL.CPU.PRODUCTS": Products,
    "MODEL.CPU.BFLOAT16": BFloat16,
    "SOLVER.OPTIMIZER": Optimizer,
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": ClipType,
    "SOLVER.LR_SCHEDULER_NAME": Schedule,
    "DATALOADER.SAMPLER_TRAIN": TrainSampler,
    "TEST.BEST_METRIC": BestMetric,
}
# Of these "" leaves the choice to the head, to the builder of the backbone, or to what is predicted.
_MAY_BE_EMPTY = ("MODEL.SOLO.COLLISIONS", "MODEL.NECK.NAME", "TEST.BEST_METRIC")


def choose(words: type[W], text: str, key: str) -> W:
    """Return the word that the text of a key stands for.

    Raises:
        UserError: If it is none of them; it lists the right ones.
    """
    try:
        return words(text)
    except ValueError:
        raise UserError(f"{key} is {text!r}; use one of {', '.join(words)}.") from None


def check_words(cfg: CfgNode) -> None:
    """Raise a UserError at a key that is another word than there are."""
    for key, words in KEYS.items():
        node = cfg
        for name in key.split("."):
            node = node[name]
        if node or key not in _MAY_BE_EMPTY:
            choose(words, node, key)
    if cfg.LOGGERS is None:  # `LOGGERS:` with nothing behind it
        raise UserError(
            f"LOGGERS is empty: give a list of {', '.join(MetricLogger)}, or [] for none."
        )
    for text in cfg.LOGGERS:
        choose(MetricLogger, text, "LOGGERS")
