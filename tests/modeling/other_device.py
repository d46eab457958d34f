"""A device that is not there: its tensors lie on the CPU, and every wait for them is counted.

Code sees another device than "cpu", so it takes the paths of a GPU; a tensor of the CPU in one operation with one of
the device is an error here, as it is on a GPU.
"""

from collections import Counter

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

# The only type that needs no library and changes the shape of a tensor in place.
DEVICE = torch.device("meta")

# The size of the result, or the branch that Python takes, is up to the values.
_WAITING = {
    "aten::_local_scalar_dense",
    "aten::_unique",
    "aten::_unique2",
    "aten::bincount",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::unique_consecutive",
    "aten::unique_dim",
}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class DeviceTensor(torch.Tensor):
    """A tensor that says it is on the device; `held` has its values."""

    @staticmethod
    def __new__(cls, held):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        tensor.held = held
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def tolist(self):
        """Copy to the CPU first, as a tensor of a GPU does; torch refuses subclasses."""
        return self.cpu().tolist()


class Waits(TorchDispatchMode):
    """Counts what waits for the device, by the name of the operator, while it is entered."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()
        self._constants = _Constants()

    def __enter__(self):
        self._constants.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._constants.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if reason := _why_it_waits(func, args, kwargs):
            self.counts[reason] += 1
        return _run(func, args, kwargs)


class _Constants(TorchFunctionMode):
    """Lets tensors that are made of numbers for the device be copied there, where a mode of operators sees it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func.__name__ == "new_tensor":
            like, *args = args
            func, device = torch.tensor, device or like.device
            kwargs = {"dtype": like.dtype, **kwargs}
        if func in (torch.tensor, torch.as_tensor) and device and not _tensors(args, {}):
            return func(*args, **{**kwargs, "device": "cpu"}).to(device)
        return func(*args, **kwargs)


def move(model: nn.Module) -> nn.Module:
    """Move the weights and buffers of a model to the device."""
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                moved = nn.Parameter(DeviceTensor(weight.detach()), weight.requires_grad)
                module._parameters[name] = moved
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = DeviceTensor(buffer)
    return model


def _why_it_waits(func, args, kwargs) -> str:
    tensors = _tensors(args, kwargs)
    on_device = [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
    name = func._schema.name
    if name in ("aten::_to_copy", "aten::copy_"):
        target = args[0].device if name == "aten::copy_" else kwargs.get("device")
        source = args[1] if name == "aten::copy_" else args[0]
        if (
            target is None
            or target.type == source.device.type
            or source.dim() == 0 == len(on_device)
        ):
            return ""
        if target.type == "cpu":
            return "copy to the CPU"
        return "" if kwargs.get("non_blocking") else "copy to the device"
    if not on_device:
        return ""
    if name in _WAITING:
        return name.removeprefix("aten::")
    if name == "aten::repeat_interleave" and kwargs.get("output_size") is None:
        return "repeat_interleave without a size"
    if name in _INDEXING:
        indices = [index for index in args[1] if index is not None]
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            return "index by booleans"
        if not all(isinstance(index, DeviceTensor) for index in indices):
            return "index on the CPU"
    return ""


def _run(func, args, kwargs):
    """Run an operator on the values, and put its results where the device would have them."""
    tensors = _tensors(args, kwargs)
    on_device = [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
    target, name = kwargs.get("device"), func._schema.name
    target = torch.device(target) if target is not None else None
    if on_device and name not in {"aten::copy_", *_INDEXING}:
        strangers = [x for x in tensors if not isinstance(x, DeviceTensor) and x.dim()]
        assert not strangers, f"{func}: tensors of the CPU and of the device"
    is_there = target.type == DEVICE.type if target is not None else bool(on_device)
    known = {id(tensor.held): tensor for tensor in on_device}

    def values(item):
        if isinstance(item, DeviceTensor):
            return item.held
        return torch.device("cpu") if isinstance(item, torch.device) else item

    def place(item):
        if not isinstance(item, torch.Tensor) or not is_there:
            return item
        return known.get(id(item)) if id(item) in known else DeviceTensor(item)

    if name == "aten::_to_copy" and target is not None and target.type != args[0].device.type:
        # Of the values, it is a copy to where they are: PyTorch's own would be none.
        result = values(args[0]).to(dtype=kwargs.get("dtype"), copy=True)
    else:
        result = func(*_pytree.tree_map(values, args), **_pytree.tree_map(values, kwargs))
    if torch.Tag.inplace_view in func.tags:
        # What the tensor itself says of its shape changes as well.
        with no_dispatch():
            func(*args, **kwargs)
    return _pytree.tree_map(place, result)


def _tensors(args, kwargs):
    leaves = _pytree.tree_leaves((args, kwargs))
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
