"""Every configuration key that solo adds to detectron2's, with its default, its unit and the paper's symbol."""

from detectron2.config import CfgNode
from detectron2.config import get_cfg as get_detectron2_cfg

from solo.config.input_keys import add_augmentation, add_multi_image
from solo.config.loss_keys import add_box_supervision, add_losses, add_quality, add_targets
from solo.config.yolox_keys import add_yolox


def get_cfg() -> CfgNode:
    """Return detectron2's default config with the keys of solo added."""
    cfg = get_detectron2_cfg()
    add_solo_config(cfg)
    return cfg


def add_solo_config(cfg: CfgNode) -> None:
    """Add the keys of solo to a detectron2 config, in place."""
    cfg.MODEL.SOLO = CfgNode()
    # Whether there are masks, and training needs them, with a meta-architecture that does not say so itself.
    # Those of solo do; for them the key is without effect.
    cfg.MODEL.MASK_ON = True
    # How weights and features lie in memory: "channels_last", "contiguous", or "auto": on a CPU what suits
    # it, on a GPU channels_last in mixed precision. Same results up to rounding.
    cfg.MODEL.MEMORY_FORMAT = "auto"
    _add_cpu(cfg.MODEL)
    _add_backbone(cfg.MODEL)
    _add_head(cfg.MODEL.SOLO)
    add_targets(cfg.MODEL.SOLO)
    add_losses(cfg.MODEL.SOLO)
    add_quality(cfg.MODEL.SOLO)
    add_box_supervision(cfg.MODEL.SOLO)
    _add_inference(cfg.MODEL.SOLO)
    cfg.MODEL.YOLOX = CfgNode()
    add_yolox(cfg.MODEL.YOLOX)
    _add_training(cfg)
    add_augmentation(cfg.INPUT)
    add_multi_image(cfg.INPUT)


def _add_cpu(node: CfgNode) -> None:
    # What a CPU does the same work with; "auto": what suits its features. What that is, and what it gains,
    # says `solo benchmark cpu`.
    node.CPU = CfgNode()
    # Pixels that candidates share: "bytes", "bits" or "float32", all exact.
    node.CPU.INTERSECTIONS = "auto"
    # Products of matrices in float32: "onednn", or "blas" (MKL, OpenBLAS). Same results up to rounding.
    node.CPU.PRODUCTS = "auto"
    # Whether mixed precision is in bfloat16, "on", or has no effect, "off".
    node.CPU.BFLOAT16 = "auto"


def _add_backbone(node: CfgNode) -> None:
    # The model of timm that MODEL.BACKBONE.NAME "build_timm_fpn_backbone" builds, and "build_timm_backbone" without
    # a pyramid. Its features are res2, res3, ... by their strides 4, 8, ..., as MODEL.FPN.IN_FEATURES names them.
    node.TIMM = CfgNode()
    # With the tag of its weights, as "res2net50_26w_4s.in1k", they and their mean and std are known.
    node.TIMM.NAME = ""
    # What a training begins with where MODEL.WEIGHTS is empty: "hub": the weights of NAME, which timm fetches; or
    # a file of weights by timm's names. Neither a resumed run nor inference looks at it.
    node.TIMM.PRETRAINED = ""
    # What training leaves as it is: 0: nothing; 1: the stem; 2: all up to stride 4; 3: up to stride 8; ...
    node.TIMM.FREEZE_AT = 0
    # Whether batch normalisation keeps the statistics and weights that it has, as with few images a GPU.
    node.TIMM.FREEZE_NORM = False
    # Which of timm's features, one a stride. []: those of strides 4, 8, 16 and 32.
    node.TIMM.OUT_INDICES = []
    # Probability that training leaves out the last block; of those before it less (stochastic depth).
    node.TIMM.DROP_PATH = 0.0
    # Whether each feature is normalised over its channels, as detectors on Swin and ConvNeXt do.
    node.TIMM.OUT_NORM = False

    # What makes levels p2, p3, ... of the features: "fpn", "pafpn" or "bifpn", on MODEL.FPN.IN_FEATURES, with
    # MODEL.FPN.OUT_CHANNELS and NORM. Empty: what the builder of the backbone makes.
    node.NECK = CfgNode()
    node.NECK.NAME = ""
    # Whether the coarsest feature goes through spatial pyramid pooling first.
    node.NECK.SPP = False
    # Rounds of "bifpn".
    node.NECK.REPEATS = 3


def _add_head(node: CfgNode) -> None:
    # Name in SOLO_HEAD_REGISTRY. Empty: what the meta-architecture is named after
    # (SOLO -> SOLOHead, SOLOv2 -> SOLOv2Head).
    node.HEAD = ""
    # Classes, K. 0: as many as the metadata of DATASETS.TRAIN[0] names.
    node.NUM_CLASSES = 0
    # One level of the head per entry; a feature of another stride than STRIDES says is resized to it.
    node.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    # Pixels of the input image per pixel of the features the head sees, per level.
    node.STRIDES = [8, 8, 16, 32, 32]
    # Cells per side, S, per level.
    node.NUM_GRIDS = [40, 36, 24, 16, 12]

    # The towers: convolutions of each branch, and their channels.
    node.NUM_CONVS = 4
    node.CONV_DIM = 512
    node.NORM = "GN"
    # Convolutions of the towers that are deformable: "none", "last" or "all" ...
    node.DEFORM_CONVS = "none"
    # ... and whether they, and those of the mask feature, are DCNv2 (else DCNv1). The backbone's are
    # chosen by detectron2's MODEL.RESNETS.DEFORM_ON_PER_STAGE and DEFORM_MODULATED.
    node.DEFORM_MODULATED = True
    # How mask and kernel branches and the mask feature see where a pixel is: "linear": by x and y, as in the papers;
    # "fourier": also by their sines and cosines, of so many octaves, the first of one period over the frame; "none": not
    # at all.
    node.COORDINATES = "linear"
    node.COORDINATE_OCTAVES = 2
    # What training leaves as it is, with its normalisation as at test: "none"; "backbone": the network
    # below the pyramid, as MODEL.BACKBONE.FREEZE_AT does with its first stages; "all_but_head": the pyramid, too.
    node.FREEZE = "none"
    # What training computes again on the way back instead of keeping it; the numbers are the same.
    # "none"; "cheap": the backbone's stages, the soft masks of the loss, normalisation and ReLU of the
    # towers (a tenth more time); "all": the convolutions of the towers, too (a third more time).
    node.RECOMPUTE = "none"
    # Foreground probability of a cell before training (bias of the last convolutions).
    node.PRIOR_PROB = 0.01

    # SOLOv2: side of the dynamic kernel, in pixels of the mask feature (the paper uses 1).
    node.KERNEL_SIZE = 1
    # SOLOv2: the unified mask feature F, at the stride of its first input, or at half of it with UPSAMPLE 2.
    node.MASK_FEATURE = CfgNode()
    node.MASK_FEATURE.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    node.MASK_FEATURE.CONV_DIM = 128
    # Channels of F, E. A dynamic kernel has E * KERNEL_SIZE ** 2 weights.
    node.MASK_FEATURE.DIM = 256
    node.MASK_FEATURE.NORM = "GN"
    # Whether its convolutions are deformable, all of them.
    node.MASK_FEATURE.DEFORM = False
    # 1 or 2: the last convolution, of 1x1, makes so many pixels a side of each pixel. 2: finer masks.
    node.MASK_FEATURE.UPSAMPLE = 1


def _add_inference(node: CfgNode) -> None:
    node.TEST = CfgNode()
    # Probability above which a (cell, class) becomes a candidate.
    node.TEST.SCORE_THRESH = 0.1
    # How many classes of a cell, the most probable, may become candidates. 0: all. With 1 an object is not found under
    # two names by one cell.
    node.TEST.LABELS_PER_CELL = 0
    # Candidates decoded at most, best first: bounds memory. Published set-ups have fewer.
    node.TEST.MAX_CANDIDATES = 2000
    # Candidates whose masks are decoded at a time: bounds memory, changes nothing.
    node.TEST.CHUNK_SIZE = 128
    # Probability above which a pixel belongs to a mask.
    node.TEST.MASK_THRESH = 0.5
    # Candidates that enter the suppression, by category probability times maskness.
    node.TEST.PRE_NMS_TOPK = 500
    # "matrix": matrix NMS, which lowers scores. "mask": greedy NMS, which drops what overlaps a better
    # instance by more than NMS_IOU_THRESH.
    node.TEST.NMS = "matrix"
    node.TEST.NMS_IOU_THRESH = 0.5
    # Whether instances of different classes suppress each other, too.
    node.TEST.CLASS_AGNOSTIC = False
    # "gaussian" or "linear": the decay f of matrix NMS.
    node.TEST.NMS_KERNEL = "gaussian"
    # Of the Gaussian decay exp(-sigma * iou ** 2).
    node.TEST.NMS_SIGMA = 2.0
    # Score below which an instance is dropped after the suppression.
    node.TEST.UPDATE_THRESH = 0.05
    # "bitmask": Instances.pred_masks, (n, H, W) bool. "rle": Instances.pred_rles, a list of COCO
    # RLE dicts, which needs no full-size masks. The evaluation takes either.
    node.TEST.MASK_FORMAT = "bitmask"


def _add_training(cfg: CfgNode) -> None:
    # Mixed precision in evaluation and demo, as SOLVER.AMP in training: faster, not the same results.
    cfg.TEST.AMP = CfgNode({"ENABLED": False})
    # Whether evaluations report boundary AP (arXiv 2103.16562), too: "boundary" beside "segm" and "bbox".
    cfg.TEST.BOUNDARY_AP = False
    # The AP that chooses model_best.pth, ends training early and is shown meanwhile: "segm/AP", "bbox/AP" or
    # "boundary/AP", of the first data set. Empty: that of masks if the model finds masks, else that of boxes.
    cfg.TEST.BEST_METRIC = ""
    # Length of training in epochs of the images that it uses, in place of MAX_ITER. STEPS keep their shares
    # of it, WARMUP_ITERS take a tenth at most; TEST.EVAL_PERIOD and CHECKPOINT_PERIOD follow. 0: MAX_ITER.
    cfg.SOLVER.EPOCHS = 0.0
    # With SOLVER.EPOCHS: epochs from one evaluation to the next. 0: about ten evaluations.
    cfg.TEST.EVAL_EPOCHS = 0.0
    # The last of the checkpoints of CHECKPOINT_PERIOD are kept, so many of them; 0: all. model_best.pth and
    # model_final.pth stay in any case.
    cfg.SOLVER.KEEP_CHECKPOINTS = 0
    # Whether the exponential moving average of the weights is evaluated and saved in their place; it
    # forgets a share of 1 - DECAY in a step, and more in the first ones, so that short runs profit.
    cfg.SOLVER.EMA = CfgNode({"ENABLED": False, "DECAY": 0.9998})
    # Evaluations in a row without a gain after which training ends early, as if at MAX_ITER. 0: never.
    cfg.TEST.PATIENCE = 0
    # ... and what the AP of BEST_METRIC has to rise by since the last gain to be one, in points.
    cfg.TEST.MIN_GAIN = 0.0
    # Parts in which the images of a step are taken, one after the other, where memory is short: IMS_PER_BATCH
    # stays the images of a step, so that rates, iterations and epochs keep their meaning.
    cfg.SOLVER.ACCUMULATE = 1
    # Where the numbers go beside the log and metrics.json: "tensorboard", where it is installed; "wandb";
    # "mlflow". The project and the place are set by WANDB_PROJECT, MLFLOW_TRACKING_URI and so on.
    cfg.LOGGERS = ("tensorboard",)
    # "SGD" as in the papers, or "AdamW", which trains faster from scratch.
    cfg.SOLVER.OPTIMIZER = "SGD"
    # CLIP_GRADIENTS.CLIP_TYPE may be "full_model", too: the norm over all parameters, as in the papers; and
    # LR_SCHEDULER_NAME "WarmupCosineFlatLR", YOLOX's: a quadratic warm-up from WARMUP_FACTOR, a cosine, and a
    # twentieth of the rate in the last phase, INPUT.MULTI_IMAGE_OFF_ITERS.

    # Data sets in COCO's format to register before training or evaluation, each
    # ["name", "annotations.json", "image folder"]. DATASETS.TRAIN and TEST then take the names.
    cfg.DATASETS.COCO_JSON = []
    # ... and in any format, each ["name", "format", "annotations", "image folder"]: "coco", "yolo", "labelme",
    # "via", "cvat", "voc_xml", "visdrone", or "auto", which tells them apart.
    cfg.DATASETS.FILES = []
    # Whether their file names may lead out of the image folder, as ../secret.jpg does.
    cfg.DATASETS.LEAVE_FOLDER = False
    # Unreadable images that training skips, with a warning, before it stops: different ones, counted by
    # all loader processes of a worker together, from the start or the resumption of a run on.
    cfg.DATALOADER.MAX_UNREADABLE = 10
