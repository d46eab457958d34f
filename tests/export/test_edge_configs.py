"""The models of configs/edge: normalisation folds away whole, and the graph computes what the model computes."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model
from torch.nn.modules.batchnorm import _BatchNorm

from solo.config.load import inference_config
from solo.export.torch_export import trace
from solo.export.wrapper import TraceableSOLO
from solo.modeling.fuse import prepare_for_inference

pytest.importorskip("timm", reason="timm is not installed: pip install -e .[timm]")
EDGE = sorted((Path(__file__).parents[2] / "configs" / "edge").glob("*.yaml"))


@pytest.fixture(scope="module", params=EDGE, ids=lambda path: path.stem)
def prepared(request):
    """A model whose normalisation does something, and the same for inference."""
    opts = ["MODEL.TIMM.PRETRAINED", "", "MODEL.SOLO.NUM_CLASSES", "3"]
    cfg = inference_config(str(request.param), "", "cpu", opts)
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    for part in model.modules():
        if isinstance(part, _BatchNorm):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    fused = deepcopy(model)
    prepare_for_inference(fused, cfg)
    return model, fused


def test_it_is_the_same_without_normalisation(prepared):
    model, fused = prepared
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected, found = model.run_network(image), fused.run_network(image)
    assert not any(isinstance(part, _BatchNorm) for part in fused.modules())
    for pair in zip(expected.category_logits, found.category_logits, strict=True):
        torch.testing.assert_close(*pair, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(expected.masks.kernels, found.masks.kernels, atol=1e-3, rtol=1e-3)
    # At stride 4, as the pyramid of larger models has it.
    assert found.masks.feature[0].shape[1:] == (16, 24)


def test_its_graph_is_the_model_and_has_no_normalisation(prepared):
    network = TraceableSOLO(prepared[1])
    program = trace(network, (64, 96))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert any("conv2d" in name for name in names)
    assert not any("norm" in name for name in names)
    image = 255 * torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), network(image))
