"""What TensorRT refuses is found, in graphs made for that; in what is exported for any size: test_exported_files.py."""

import numpy as np
import pytest
import torch
from torch import nn

from solo.errors import UserError
from solo.export.onnx import OnnxFormat

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="the extra `export` is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from solo.export.tensorrt_rules import check_static, refusals  # noqa: E402

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def graph(nodes, *, inputs=None, constants=None, output=("y", FLOAT, None)):
    """A model of some nodes, from x, (4, 6) floats, to y."""
    inputs = {"x": (FLOAT, (4, 6)), **(inputs or {})}
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(*output)],
        [
            numpy_helper.from_array(np.array(value), name)
            for name, value in (constants or {}).items()
        ],
    )
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    )


def node(name, *inputs, outputs=("y",), **attributes):
    return helper.make_node(name, inputs, outputs, name=f"the_{name}", **attributes)


def branch(name):
    """A graph inside a node."""
    inner = helper.make_node("Unique", ["x"], [name], name="the_inner")
    return helper.make_graph([inner], name, [], [helper.make_tensor_value_info(name, FLOAT, None)])


NUMBER = {"n": (INT64, (1,))}
REFUSED = {
    "NonZero": graph([node("NonZero", "x")], output=("y", INT64, None)),
    "Unique": graph([node("Unique", "x")]),
    "Compress": graph([node("Compress", "x", "c")], inputs={"c": (BOOL, (6,))}),
    "NonMaxSuppression": graph(
        [node("NonMaxSuppression", "b", "s")],
        inputs={"b": (FLOAT, (1, 9, 4)), "s": (FLOAT, (1, 1, 9))},
        output=("y", INT64, None),
    ),
    "SequenceConstruct": graph(
        [node("SequenceConstruct", "x", outputs=("s",)), node("SequenceAt", "s", "i")],
        constants={"i": 0},
    ),
    "Shape": graph([node("Shape", "x")], output=("y", INT64, (2,))),
    "a calculated shape": graph([node("Reshape", "x", "n")], inputs={"n": (INT64, (2,))}),
    "a calculated slice": graph(
        [node("Slice", "x", "n", "e")], inputs=NUMBER, constants={"e": [3]}
    ),
    "a calculated number": graph([node("TopK", "x", "n", outputs=("y", "i"))], inputs=NUMBER),
    "a calculated range": graph(
        [node("Range", "o", "n", "i")],
        inputs={"n": (INT64, ())},
        constants={"o": 0, "i": 1},
        output=("y", INT64, None),
    ),
    "a calculated expansion": graph([node("Expand", "x", "n")], inputs={"n": (INT64, (3,))}),
    "of 5000": graph(
        [node("TopK", "z", "k", outputs=("y", "i"))],
        inputs={"z": (FLOAT, (9000,))},
        constants={"k": [5000]},
    ),
    "5000 in a node": graph(
        [
            node("TopK", "z", "k", outputs=("y", "i")),
            node("Constant", outputs=("k",), value_ints=[5000]),
        ],
        inputs={"z": (FLOAT, (9000,))},
    ),
    "DOUBLE": graph(
        [node("Cast", "x", to=TensorProto.DOUBLE)], output=("y", TensorProto.DOUBLE, (4, 6))
    ),
    "with bytes": graph(
        [node("Add", "u", "u")],
        inputs={"u": (TensorProto.UINT8, (4,))},
        output=("y", TensorProto.UINT8, (4,)),
    ),
    "Clip": graph(
        [node("Clip", "i", "o")],
        inputs={"i": (INT64, (4,))},
        constants={"o": 0},
        output=("y", INT64, (4,)),
    ),
    "antialiasing": graph(
        [node("Resize", "z", "", "", "s", mode="linear", antialias=1)],
        inputs={"z": (FLOAT, (1, 1, 8, 8))},
        constants={"s": [1, 1, 4, 4]},
    ),
    "cubic": graph(
        [node("Resize", "z", "", "", "s", mode="cubic")],
        inputs={"z": (FLOAT, (1, 1, 8, 8))},
        constants={"s": [1, 1, 4, 4]},
    ),
    "indices of a pool": graph(
        [node("MaxPool", "z", outputs=("y", "i"), kernel_shape=[2, 2])],
        inputs={"z": (FLOAT, (1, 1, 8, 8))},
    ),
    "a size that is not fixed": graph([node("Relu", "z")], inputs={"z": (FLOAT, ("n", 6))}),
    "nine dimensions": graph([node("Reshape", "x", "s")], constants={"s": [1] * 7 + [4, 6]}),
    "an operator of others": graph(
        [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]
    ),
    "If": graph(
        [node("If", "c", then_branch=branch("t"), else_branch=branch("e"))],
        inputs={"c": (BOOL, ())},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_found(name):
    found = refusals(REFUSED[name])
    assert found
    with pytest.raises(UserError, match="TensorRT would not take"):
        check_static(REFUSED[name])
    kind = REFUSED[name].graph.node[0].op_type
    assert any(kind in line or "tensor" in line for line in found)


def test_inside_of_others():
    assert sum("Unique the_inner" in line for line in refusals(REFUSED["If"])) == 2


def test_nothing_to_find():
    made = graph(
        [node("TopK", "x", "k", outputs=("v", "i")), node("Relu", "v")], constants={"k": [3]}
    )
    assert refusals(made) == []
    check_static(made)


def test_a_file_that_is_not_static_is_not_written(tmp_path):
    class Finds(nn.Module):
        def forward(self, x):
            return x.double().nonzero()

    program = torch.export.export(Finds(), (torch.zeros(4),))
    with pytest.raises(UserError, match=r"--static: TensorRT .*DOUBLE.*NonZero"):
        OnnxFormat().write(program, tmp_path / "no.onnx", {"outputs": ["y"], "static": True})
    assert not [*tmp_path.iterdir()]
