"""What each loss is multiplied by, as a config says it."""

from detectron2.config import CfgNode


def loss_weights(cfg: CfgNode) -> dict[str, float]:
    """Return the weight of each loss by its name; some go with boxes, the others with masks."""
    node, boxes = cfg.MODEL.SOLO.LOSS, cfg.MODEL.SOLO.BOX_SUPERVISION
    return {
        "loss_category": node.CATEGORY_WEIGHT,
        "loss_quality": cfg.MODEL.SOLO.QUALITY.WEIGHT,
        "loss_mask": node.MASK_WEIGHT,
        "loss_point_bce": node.POINT_BCE_WEIGHT,
        "loss_boundary_dice": node.BOUNDARY_DICE_WEIGHT,
        "loss_mask_bce": node.MASK_BCE_WEIGHT,
        "loss_semantic": node.SEMANTIC_WEIGHT,
        "loss_projection": node.MASK_WEIGHT * boxes.PROJECTION_WEIGHT,
        "loss_pairwise": node.MASK_WEIGHT * boxes.PAIRWISE_WEIGHT,
    }
