"""What TensorRT 10 would not take of an ONNX graph, by its parser's table of operators; nothing of it is needed here.

Stricter where it says more than "supported": no control flow, no output whose size depends on values, no shape
that is calculated in the graph. Other static compilers want the same.

Source:
    docs/operators.md of onnx-tensorrt, of TensorRT 10.1.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, shape_inference

from solo.errors import UserError

_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip
Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Div
Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log
LogSoftmax LRN LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not
OneHot Or Pad Pow PRelu QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu
Shrink Sigmoid Sign Sin Sinh Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu
Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
_OPERATORS = frozenset(_NAMES.split())
# From which input on they have to be known when the engine is built: all that decides a shape.
_CONSTANT_FROM = {
    **dict.fromkeys(("ConstantOfShape", "Range"), 0),
    **dict.fromkeys(("CumSum", "Expand", "Pad", "Reshape", "Resize", "Slice", "Split"), 1),
    **dict.fromkeys(("OneHot", "Squeeze", "Tile", "TopK", "Unsqueeze"), 1),
    **{name: 1 for name in _OPERATORS if name.startswith("Reduce")},
}
_TYPES = ("FLOAT", "FLOAT16", "BFLOAT16", "INT32", "INT64", "BOOL")
_FLOATS = _TYPES[:3]
_QUANTIZED = ("INT8", "UINT8")
_ONE_OUTPUT = ("MaxPool", "LayerNormalization")
# By operator and attribute, what holds of a value that is taken, and what is said of others.
_RULES: Mapping[str, Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "TopK": {
        "sorted": (lambda value: value == 1, "not in order"),
    },
    "Resize": {
        "mode": (lambda value: value in (b"nearest", b"linear"), "neither nearest nor linear"),
        "keep_aspect_ratio_policy": (lambda value: value == b"stretch", "keeps aspect ratios"),
        "antialias": (lambda value: value == 0, "with antialiasing"),
        "exclude_outside": (lambda value: value == 0, "excludes what is outside"),
    },
    "MaxPool": {"dilations": (lambda value: {*value} <= {1}, "with dilations")},
    "DeformConv": {
        "pads": (
            lambda value: value[: len(value) // 2] == value[len(value) // 2 :],
            "with other pads before than after",
        ),
    },
}
# Attributes of a Constant that holds numbers without a tensor.
_NUMBERS = {
    **dict.fromkeys(("value_int", "value_ints"), np.int64),
    **dict.fromkeys(("value_float", "value_floats"), np.float32),
}
_MAX_TOPK = 3840
_MAX_RANK = 8
_MAX_ELEMENTS = 2**31 - 1


def check_static(model: Any) -> None:
    """Refuse a graph that TensorRT would.

    Args:
        model: An `onnx.ModelProto`.

    Raises:
        UserError: If something is found, with the first of it.
    """
    if found := refusals(model):
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        raise UserError(
            f"--static: TensorRT would not take {'; '.join(found[:3])}{more}. Another backbone, head or key makes "
            "another graph; without --static this one is exported for onnxruntime."
        )


def refusals(model: Any) -> list[str]:
    """Return what TensorRT would not take of an `onnx.ModelProto`, in words, one for each node or tensor."""
    model = shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    tensors = _Tensors(graph)
    nodes = [*_all_nodes(graph.node), *_all_nodes(n for f in model.functions for n in f.node)]
    found = [
        f"{node.op_type} {node.name or node.output[0]} ({fault})"
        for node in nodes
        for fault in _node_faults(node, tensors)
    ]
    outputs = [name for node in graph.node for name in node.output if name]
    names = dict.fromkeys([*(value.name for value in graph.input), *outputs])
    return found + [
        f"tensor {name} ({fault})" for name in names for fault in _tensor_faults(tensors, name)
    ]


class _Tensors:
    """What is known of the tensors of a graph before it runs."""

    def __init__(self, graph: Any) -> None:
        self.constants = {constant.name: constant for constant in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _constant(node)
        described = [*graph.input, *graph.value_info, *graph.output]
        self._types = {value.name: value.type.tensor_type for value in described}

    def element_type(self, name: str) -> str:
        """Return the name of the type of the elements, "UNDEFINED" if it is not known."""
        if self.constants.get(name) is not None:
            return TensorProto.DataType.Name(self.constants[name].data_type)
        known = self._types.get(name)
        return TensorProto.DataType.Name(known.elem_type if known else 0)

    def shape(self, name: str) -> list[int] | None:
        """Return the sides, -1 for those that are not fixed; None: not even their number is known."""
        if self.constants.get(name) is not None:
            return list(self.constants[name].dims)
        known = self._types.get(name)
        if known is None or not known.HasField("shape"):
            return None
        return [side.dim_value if side.HasField("dim_value") else -1 for side in known.shape.dim]


def _constant(node: Any) -> TensorProto | None:
    """Return the tensor of a Constant, however it is written; None: it is no tensor of numbers."""
    attribute = node.attribute[0]
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name in _NUMBERS:
        return numpy_helper.from_array(np.asarray(value, _NUMBERS[attribute.name]))
    return value if attribute.name == "value" else None


def _all_nodes(nodes: Any) -> Iterator[Any]:
    """Yield nodes, and those of their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _all_nodes(graph.node)


def _node_faults(node: Any, tensors: _Tensors) -> Iterator[str]:
    """Yield what is wrong with a node, in words."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in _OPERATORS:
        yield "no operator of static graphs"
        return
    deciding = node.input[_CONSTANT_FROM.get(node.op_type, len(node.input)) :]
    if moving := [name for name in deciding if name and name not in tensors.constants]:
        yield f"its {', '.join(moving)} would be calculated in the graph"
    types = {tensors.element_type(name) for name in (*node.input, *node.output) if name}
    if strange := sorted(types - {*_TYPES, *_QUANTIZED, "UNDEFINED"}):
        yield f"of {', '.join(strange)}"
    if types & {*_QUANTIZED} and not node.op_type.endswith("uantizeLinear"):
        yield "calculates with bytes"
    if node.op_type == "Clip" and tensors.element_type(node.input[0]) not in _FLOATS:
        yield "of whole numbers"
    yield from _attribute_faults(node, tensors)


def _attribute_faults(node: Any, tensors: _Tensors) -> Iterator[str]:
    """Yield what is wrong with how a node is to work."""
    values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    for name, (fits, fault) in _RULES.get(node.op_type, {}).items():
        if name in values and not fits(values[name]):
            yield fault
    if node.op_type in _ONE_OUTPUT and any(node.output[1:]):
        yield "with a second output"
    count = tensors.constants.get(node.input[1]) if node.op_type == "TopK" else None
    if count is not None and int(numpy_helper.to_array(count).item()) >= _MAX_TOPK:
        yield f"takes {_MAX_TOPK} or more: lower MODEL.SOLO.TEST.PRE_NMS_TOPK"


def _tensor_faults(tensors: _Tensors, name: str) -> Iterator[str]:
    """Yield what is wrong with the shape of a tensor, in words."""
    shape = tensors.shape(name)
    if shape is None or min(shape, default=1) < 0:
        yield "its shape is not fixed"
    elif len(shape) > _MAX_RANK:
        yield f"of {len(shape)} dimensions"
    elif math.prod(shape) > _MAX_ELEMENTS:
        yield f"of {math.prod(shape)} elements"
