"""Models of timm in small: the kinds that configs/coco has, each of a few thousand weights. Importing registers them."""

from timm.models import build_model_with_cfg, register_model
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.convnext import ConvNeXt
from timm.models.cspnet import CspModelCfg, CspNet, CspStagesCfg, CspStemCfg
from timm.models.efficientnet import EfficientNet
from timm.models.regnet import RegNet, RegNetCfg
from timm.models.res2net import Bottle2neck
from timm.models.resnet import ResNet
from timm.models.swin_transformer import SwinTransformer
from torch import nn


@register_model
def toy_res2net(pretrained=False, **kwargs):
    block = {"block": Bottle2neck, "base_width": 8, "block_args": {"scale": 4}}
    shape = {"layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16), "stem_width": 8}
    return build_model_with_cfg(ResNet, "toy_res2net", pretrained, **block, **shape, **kwargs)


@register_model
def toy_regnetx(pretrained=False, **kwargs):
    cfg = RegNetCfg(w0=8, wa=8.0, wm=2.0, group_size=8, depth=6, stem_width=8)
    return build_model_with_cfg(RegNet, "toy_regnetx", pretrained, model_cfg=cfg, **kwargs)


@register_model
def toy_cspdarknet(pretrained=False, **kwargs):
    stages = CspStagesCfg(
        depth=(1, 1, 1, 1, 1),
        out_chs=(8, 8, 16, 16, 32),
        stride=2,
        expand_ratio=(2.0, 1.0),
        bottle_ratio=(0.5, 1.0),
        block_ratio=(1.0, 0.5),
        down_growth=True,
        block_type="dark",
    )
    cfg = CspModelCfg(stem=CspStemCfg(out_chs=8, kernel_size=3, stride=1, pool=""), stages=stages)
    more = {"model_cfg": cfg, "feature_cfg": {"flatten_sequential": True}}
    return build_model_with_cfg(CspNet, "toy_cspdarknet", pretrained, **more, **kwargs)


@register_model
def toy_efficientnet(pretrained=False, **kwargs):
    """Pads as TensorFlow does, as the tf_ ones."""
    stages = [["ds_r1_k3_s1_e1_c8"], ["ir_r1_k3_s2_e2_c8"], ["ir_r1_k5_s2_e2_c8"]]
    stages += [["ir_r1_k3_s2_e2_c16"], ["ir_r1_k5_s2_e2_c16"]]
    shape = {"block_args": decode_arch_def(stages), "stem_size": 8, "num_features": 32}
    kind = {"pad_type": "same", "act_layer": nn.ReLU6}
    return build_model_with_cfg(
        EfficientNet, "toy_efficientnet", pretrained, **shape, **kind, **kwargs
    )


@register_model
def toy_swin(pretrained=False, **kwargs):
    shape = {"embed_dim": 8, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 2, 2)}
    return build_model_with_cfg(SwinTransformer, "toy_swin", pretrained, **shape, **kwargs)


@register_model
def toy_convnext(pretrained=False, **kwargs):
    shape = {"depths": (1, 1, 1, 1), "dims": (8, 16, 16, 32)}
    return build_model_with_cfg(ConvNeXt, "toy_convnext", pretrained, **shape, **kwargs)
