"""The keys of INPUT: how images are changed for training."""

from detectron2.config import CfgNode


def add_augmentation(node: CfgNode) -> None:
    """Add what one image goes through, in place."""
    # An image file of more pixels counts as unreadable, since a few bytes may decode to all memory. It
    # is Pillow's limit; decoding takes ten bytes a pixel.
    node.MAX_PIXELS = 178_956_970
    # Colour of pixels that no image covers, in the channel order of INPUT.FORMAT. []: MODEL.PIXEL_MEAN.
    node.PAD_VALUE = []
    # Besides RANDOM_FLIP, and independent of it.
    node.VERTICAL_FLIP_PROB = 0.0
    # A crop keeps at least this share of the pixels of some object, or is not applied. 0: any crop.
    node.CROP.MIN_KEPT_SHARE = 0.0

    # In place of MIN_SIZE_TRAIN: the image is resized to fit into IMAGE_SIZE times a random scale, then
    # cropped or padded to IMAGE_SIZE, (height, width) in pixels. [1, 1]: a fixed size, all of it shown.
    node.JITTER = CfgNode()
    node.JITTER.ENABLED = False
    node.JITTER.IMAGE_SIZE = [1024, 1024]
    node.JITTER.SCALE_RANGE = [0.1, 2.0]

    # The image, when it has its size, turned and sheared by up to so many degrees either way, moved by up to a
    # share of its sides, and scaled, about its middle; what it leaves empty has the colour of PAD_VALUE.
    node.AFFINE = CfgNode()
    node.AFFINE.PROB = 0.0
    node.AFFINE.DEGREES = 10.0
    node.AFFINE.SHEAR = 2.0
    node.AFFINE.TRANSLATE = 0.1
    node.AFFINE.SCALE_RANGE = [0.5, 1.5]

    # Progressive resizing: this share of SOLVER.MAX_ITER, from the first iteration on, sees images of SCALE times
    # MIN_SIZE_TRAIN (and MAX_SIZE_TRAIN, JITTER.IMAGE_SIZE), which cost about SCALE ** 2 as much. A run that is
    # resumed with a greater MAX_ITER sees small ones again, up to its new share.
    node.PROGRESSIVE = CfgNode({"SHARE": 0.0, "SCALE": 0.8})

    # BRIGHTNESS, CONTRAST and SATURATION: the factor lies within 1 - value to 1 + value.
    node.COLOR_JITTER = CfgNode()
    node.COLOR_JITTER.PROB = 0.0
    node.COLOR_JITTER.BRIGHTNESS = 0.4
    node.COLOR_JITTER.CONTRAST = 0.4
    node.COLOR_JITTER.SATURATION = 0.4
    # Largest turn of the hue either way, in full turns, at most 0.5.
    node.COLOR_JITTER.HUE = 0.05


def add_multi_image(node: CfgNode) -> None:
    """Add what several images become one by, in place."""
    # Four images in one of the size that the first would have alone.
    node.MOSAIC = CfgNode()
    node.MOSAIC.PROB = 0.0
    # Where they meet, as shares of width and height.
    node.MOSAIC.CUT_RANGE = [0.25, 0.75]
    # Of the size that each would have alone.
    node.MOSAIC.SCALE_RANGE = [0.5, 1.0]

    # Objects of another image at random places; what they cover is taken from the masks below.
    node.COPY_PASTE = CfgNode()
    node.COPY_PASTE.PROB = 0.0
    # The number is random, from 1 to this.
    node.COPY_PASTE.MAX_OBJECTS = 10
    # Of taking the objects from the image itself.
    node.COPY_PASTE.SAME_IMAGE_PROB = 0.0
    # Pixels on either side of an object's edge over which the images, not the masks, are blended.
    node.COPY_PASTE.SOFT_EDGE = 2

    # Two images, half transparent, with the objects of both.
    node.MIXUP = CfgNode()
    node.MIXUP.PROB = 0.0
    # Weight of the first image.
    node.MIXUP.WEIGHT_RANGE = [0.4, 0.6]

    # Objects that show less are dropped: pixels, and share of the pixels that the object has in its own
    # image, at the scale it is shown at.
    node.MIN_VISIBLE_AREA = 1
    node.MIN_VISIBLE_SHARE = 0.0
    # The last phase: iterations before SOLVER.MAX_ITER that go without mosaic, copy-paste and mixup. YOLOX has
    # its L1 loss there, and WarmupCosineFlatLR its lowest rate.
    node.MULTI_IMAGE_OFF_ITERS = 0
