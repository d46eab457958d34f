"""The keys of YOLOX, MODEL.YOLOX, with their defaults: those of YOLOX-s where the sizes differ."""

from detectron2.config import CfgNode


def add_yolox(node: CfgNode) -> None:
    """Add the keys of MODEL.YOLOX, in place."""
    # Classes, K. 0: as many as the metadata of DATASETS.TRAIN[0] names.
    node.NUM_CLASSES = 0
    _add_network(node)
    _add_anchors(node)
    _add_yolox_training(node)
    _add_yolox_inference(node)


def _add_network(node: CfgNode) -> None:
    # Multiples of the depth of CSP blocks (3 and 9) and of all channels (64 to 1024; 256 in the head).
    node.DEPTH = 0.33
    node.WIDTH = 0.5
    # Whether the 3x3 convolutions but the first are a depthwise one and a 1x1, as in YOLOX-nano.
    node.DEPTHWISE = False
    node.NORM = "BN"
    # "silu"; "leaky_relu" or "relu", which some accelerators are quicker with.
    node.ACTIVATION = "silu"
    # Three features of any channels, of strides s, 2 s and 4 s; a level of the head per feature.
    node.IN_FEATURES = ["dark3", "dark4", "dark5"]
    # Whether spatial pyramid pooling stands before the neck, on the last feature. CSPDarknet has its own.
    node.SPP = False
    # What training sets to 0 in the neck: a value with this probability (0: none), and those around it in a square
    # of this side, odd (DropBlock).
    node.DROPBLOCK = CfgNode({"PROB": 0.0, "SIZE": 7})
    # "decoupled": YOLOX's own. "anchors": one that corrects boxes of given sizes, for ANCHORS.
    node.HEAD = "decoupled"
    # Probability of an object, and of a class, at any point before training (bias of the last convolutions).
    node.PRIOR_PROB = 0.01
    # Whether images are padded to a square, as published models want it; else to multiples of the largest
    # stride only, which is quicker, and moves scores a little.
    node.SQUARE = True


def _add_anchors(node: CfgNode) -> None:
    # Of HEAD "anchors" alone, for which SimOTA's keys and LOSS.L1_WEIGHT mean nothing.
    node.ANCHORS = CfgNode()
    # [width, height] in pixels of the input, a list for each of IN_FEATURES. These are COCO's, of YOLOv3.
    node.ANCHORS.SIZES = [
        [[10, 13], [16, 30], [33, 23]],
        [[30, 61], [62, 45], [59, 119]],
        [[116, 90], [156, 198], [373, 326]],
    ]
    # Which anchors learn an object: "best": of all levels the one whose width and height have the best IoU with
    # it, in the cell of its centre. "ratio": all whose sides and its are less than RATIO_THRESH times each
    # other, in that cell and the two nearest; an object that is like none of them is not learnt.
    node.ANCHORS.MATCHING = "best"
    node.ANCHORS.RATIO_THRESH = 4.0
    # Where no object is to be learnt, objectness is not wrong if the box that was found has a higher IoU with any.
    node.ANCHORS.IGNORE_THRESH = 0.7
    # a > 0: the IoU of a box with its object is predicted, too, and a box is as certain as
    # objectness ^ (1 - a) * IoU ^ a. 0: it is not.
    node.ANCHORS.IOU_SHARE = 0.0
    # Weight of that prediction's loss; those of box (CIoU), objectness and class are LOSS's.
    node.ANCHORS.IOU_WEIGHT = 1.0


def _add_yolox_training(node: CfgNode) -> None:
    # SimOTA: a point lies well for an object less than so many strides from its centre, on both axes, ...
    node.CENTER_RADIUS = 2.5
    # ... and inside its box. Later versions of the official code have 1.5 and False.
    node.IN_BOX = True
    # The IoUs of so many points, the largest, add up to the number of points that learn an object.
    node.CANDIDATES = 10
    # Weight of -log(IoU), beside the cross entropy of the classes, in what a point costs.
    node.IOU_COST = 3.0
    node.LOSS = CfgNode()
    node.LOSS.BOX_WEIGHT = 5.0
    node.LOSS.OBJECTNESS_WEIGHT = 1.0
    node.LOSS.CATEGORY_WEIGHT = 1.0
    # Of the outputs before decoding, in the last phase only: INPUT.MULTI_IMAGE_OFF_ITERS.
    node.LOSS.L1_WEIGHT = 1.0
    # Pixels of the longer side of a batch, [smallest, largest], multiples of 32, drawn anew each 10 iterations.
    # []: as the images come.
    node.MULTI_SCALE = []


def _add_yolox_inference(node: CfgNode) -> None:
    node.TEST = CfgNode()
    # Least score, objectness times class, of what enters the suppression. Few and certain: 0.25.
    node.TEST.SCORE_THRESH = 0.001
    # Overlap of boxes (IoU) above which the less certain one goes.
    node.TEST.NMS_THRESH = 0.65
    # Whether boxes of different classes suppress each other, too.
    node.TEST.CLASS_AGNOSTIC = False
    # Boxes of an image at most, in place of TEST.DETECTIONS_PER_IMAGE: COCO counts 100 of each class.
    node.TEST.MAX_DETECTIONS = 300
