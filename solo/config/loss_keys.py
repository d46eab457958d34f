"""The keys of targets and losses: what a training asks of the head."""

from detectron2.config import CfgNode


def add_targets(node: CfgNode) -> None:
    """Add which cells learn which object, in place."""
    # A level takes the objects whose sqrt(w * h), in pixels, lies in its range, both ends included.
    node.SCALE_RANGES = [[1, 96], [48, 192], [96, 384], [192, 768], [384, 2048]]
    # Factor, 1 or more, by which both ends of each range move out: an object between two levels then teaches both.
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
    # "grid": all these cells are positive. "dynamic": of a wider region, the cells whose classes and masks fit an object
    # best at present; the better they fit, the more cells. As SimOTA (arXiv 2107.08430), with masks in place of boxes.
    # The cheapest claim then has a cell, whatever COLLISIONS says, which decides in the warm-up alone.
    node.ASSIGNMENT = "grid"
    node.DYNAMIC = CfgNode()
    # SIGMA and CENTER_RADIUS of that region.
    node.DYNAMIC.SIGMA = 0.6
    node.DYNAMIC.RADIUS = 2
    # Weight of -log(IoU) of the soft mask beside the cross entropy of the class.
    node.DYNAMIC.MASK_WEIGHT = 3.0
    # The IoUs of so many cells, the largest, add up to an object's number of cells, ...
    node.DYNAMIC.TOPK = 10
    # ... which is this number at least.
    node.DYNAMIC.MIN_CELLS = 1
    # The first iterations use "grid", since masks are noise then.
    node.DYNAMIC.WARMUP_ITERS = 500


def add_losses(node: CfgNode) -> None:
    """Add the losses of the outputs of the head, in place."""
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
    # Weights of mask losses beside dice; 0: none. POINT_BCE: binary cross entropy with the annotation at full resolution,
    # at POINTS in and around the box of an object, most of them where the soft mask is undecided (PointRend) ...
    node.LOSS.POINT_BCE_WEIGHT = 0.0
    node.LOSS.POINTS = 196
    # ... dice over the pixels of the soft mask that are at most 2 pixels from the true boundary ...
    node.LOSS.BOUNDARY_DICE_WEIGHT = 0.0
    # ... and binary cross entropy over all pixels.
    node.LOSS.MASK_BCE_WEIGHT = 0.0
    # SOLOv2: weight of an auxiliary loss: a branch that only training runs learns which classes each pixel of the mask
    # feature shows (CondInst). 0: there is no such branch.
    node.LOSS.SEMANTIC_WEIGHT = 0.0
    # "focal": each class against all else; "softmax": one class among all and the background, by cross entropy.
    # Of three more the score learns the IoU of the cell's mask: "quality_focal" (arXiv 2006.04388) and "varifocal"
    # (arXiv 2008.13367) take it as the target probability; "rank_sort" (arXiv 2107.11669) ranks cells of objects above
    # all background, and better masks above worse ones, so that scores have an order but no scale.
    node.LOSS.CATEGORY = "focal"
    # What the category loss is divided by: "positives": the number of positive cells plus one; "images": positive cells
    # plus images. "rank_sort" does not read the key: it is divided by the positive cells.
    node.LOSS.CATEGORY_NORMALIZER = "positives"
    # Weight of a positive (cell, class); that of a negative is 1 - FOCAL_ALPHA. "varifocal" has only the latter (its
    # paper's alpha, .75), "quality_focal" neither.
    node.LOSS.FOCAL_ALPHA = 0.25
    # Exponent of the focusing, also that of "quality_focal" (its paper's beta, 2) and "varifocal".
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
    # At test the category probability is multiplied by the predicted IoU to this power; TEST.SCORE_THRESH holds for the
    # product.
    node.QUALITY.EXPONENT = 1.0


def add_box_supervision(node: CfgNode) -> None:
    """Add how masks learn from boxes, in place."""
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
