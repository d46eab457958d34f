"""The keys of targets and losses: what a training asks of the head."""

from detectron2.config import CfgNode


def add_targets(node: CfgNode) -> None:
    """Add which cells learn which object, in place."""
    # A level takes the objects whose sqrt(w * h), in pixels, lies in its range, both ends included.
    node.SCALE_RANGES = [[1, 96], [48, 192], [96, 384], [192, 768], [384, 2048]]
    # ... whose ends lie further out by this factor, 1 or more: what lies between two levels teaches both.
    node.SCALE_MARGIN = 1.0
    # Share of an object's box around its centre whose cells are positive, epsilon.
    node.SIGMA = 0.2
    # That centre: of the mask's mass, "mass", or of the "box".
    node.CENTER = "mass"
    # ... but at most so many cells away from the centre's own cell. 0: no limit.
    node.CENTER_RADIUS = 1
    # Cells that several instances claim by "grid": "all" supervise the mask, or the "last", or the "smallest".
    # Empty: as in the official code of the head (SOLOv2 "all", SOLO and Decoupled SOLO "last").
    node.COLLISIONS = ""
    # "grid": all these cells; "dynamic": of a wider region the cells whose classes and masks suit an object best at
    # present, more of them the better they are, as SimOTA does (arXiv 2107.08430), with masks in place of boxes. A cell
    # is then the cheapest claim's, whatever COLLISIONS says, which decides in the warm-up alone.
    node.ASSIGNMENT = "grid"
    node.DYNAMIC = CfgNode()
    # That region: as SIGMA and CENTER_RADIUS.
    node.DYNAMIC.SIGMA = 0.6
    node.DYNAMIC.RADIUS = 2
    # Weight of -log(IoU) of the soft mask beside the cross entropy of the class.
    node.DYNAMIC.MASK_WEIGHT = 3.0
    # The IoUs of so many cells, the largest, add up to an object's number of cells, ...
    node.DYNAMIC.TOPK = 10
    # ... which is so large at least.
    node.DYNAMIC.MIN_CELLS = 1
    # Iterations by "grid" first: masks are noise then.
    node.DYNAMIC.WARMUP_ITERS = 500


def add_losses(node: CfgNode) -> None:
    """Add what the outputs of the head are compared by, in place."""
    node.LOSS = CfgNode()
    node.LOSS.MASK_WEIGHT = 3.0  # lambda, of the dice loss
    node.LOSS.CATEGORY_WEIGHT = 1.0
    # Pixels of the input per pixel of the soft masks that the mask loss compares. 0: as the head makes them, SOLO's at
    # half the stride of each level; 4: of all levels at the same scale. Even, and a divisor of the padded sides.
    node.LOSS.MASK_STRIDE = 0
    # Background cells per (cell, object) pair whose soft masks have to be empty, drawn per image and level.
    node.LOSS.NEGATIVES = 0.0
    # Added to both parts of the fraction of dice, in pixels. 0: as in the official code, .002 below.
    node.LOSS.DICE_SMOOTH = 0.0
    # Weights of what masks learn by beside dice; 0: not at all. Binary cross entropy at POINTS, most of them where the
    # soft mask is undecided and all around the object, beside annotations at full resolution (PointRend) ...
    node.LOSS.POINT_BCE_WEIGHT = 0.0
    node.LOSS.POINTS = 196
    # ... dice over the pixels that have the true boundary at most 2 pixels of the soft mask away ...
    node.LOSS.BOUNDARY_DICE_WEIGHT = 0.0
    # ... and binary cross entropy over all pixels.
    node.LOSS.MASK_BCE_WEIGHT = 0.0
    # SOLOv2: weight of an auxiliary loss, which classes each pixel of the mask feature shows, by a branch that training
    # alone runs (CondInst). 0: there is no such branch.
    node.LOSS.SEMANTIC_WEIGHT = 0.0
    # "focal": each class against all else; "softmax": one class among all and the background, by cross entropy.
    # Three learn how well the mask of a cell fits, its IoU, as the score: "quality_focal" (arXiv 2006.04388) and
    # "varifocal" (arXiv 2008.13367) have it as the probability to give; "rank_sort" (arXiv 2107.11669) puts cells of
    # objects above all background, and better masks above worse, so that scores have an order and no scale.
    node.LOSS.CATEGORY = "focal"
    # The category loss is divided by the positive cells and one, "positives", or and the "images"; that of
    # "rank_sort" by the positive cells.
    node.LOSS.CATEGORY_NORMALIZER = "positives"
    # Weight of a positive (cell, class), 1 - FOCAL_ALPHA of a negative; "varifocal" has the latter only (its paper's
    # alpha, .75), "quality_focal" none.
    node.LOSS.FOCAL_ALPHA = 0.25
    # Exponent of the focusing, of "quality_focal" (its paper's beta, 2) and "varifocal", too.
    node.LOSS.FOCAL_GAMMA = 2.0
    # What masks learn from: "mask", or "box": boxes alone and the colours of the image, as BoxInst does
    # (arXiv 2012.02310): the shadows of a mask on both axes fill its box, and neighbours of one colour are
    # both in the mask or both not. Masks are not looked at, and data needs none.
    node.LOSS.SUPERVISION = "mask"


def add_quality(node: CfgNode) -> None:
    """Add the branch that says how well the mask of a cell fits, in place."""
    node.QUALITY = CfgNode()
    # Whether there is one: what the model finds depends on it, as on its weights.
    node.QUALITY.ENABLED = False
    # Weight of its loss, the cross entropy with the IoU of a positive cell's mask.
    node.QUALITY.WEIGHT = 1.0
    # At test the category probability, of which TEST.SCORE_THRESH is a limit, is multiplied by this power of it.
    node.QUALITY.EXPONENT = 1.0


def add_box_supervision(node: CfgNode) -> None:
    """Add what masks are compared with boxes by, in place."""
    node.BOX_SUPERVISION = CfgNode()
    # Weights of the two terms, of which LOSS.MASK_WEIGHT is a factor, too ...
    node.BOX_SUPERVISION.PROJECTION_WEIGHT = 1.0
    node.BOX_SUPERVISION.PAIRWISE_WEIGHT = 1.0
    # ... and iterations in which that of the second rises from 0.
    node.BOX_SUPERVISION.WARMUP_ITERS = 10000
    # Side of the neighbourhood of a pixel, odd, and the pixels of the soft mask from one neighbour to the next.
    node.BOX_SUPERVISION.PAIRWISE_SIZE = 3
    node.BOX_SUPERVISION.DILATION = 2
    # Similarity from which two pixels are of one colour, tau: exp(-d / 2), d their distance in CIE LAB.
    node.BOX_SUPERVISION.COLOR_THRESH = 0.3
