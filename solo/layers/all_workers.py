"""What the processes of a training need of each other while they compute a loss."""

import torch
import torch.distributed as dist
from torch import Tensor


def sum_over_workers(count: Tensor) -> Tensor:
    """Add up a number over all workers, so that each divides its loss by the same."""
    if not (dist.is_available() and dist.is_initialized()):
        return count
    total = count.clone()
    dist.all_reduce(total)
    return total


def rows_of_workers(rows: Tensor) -> list[Tensor]:
    """Return the rows that each worker has, in the order of the workers; each may have another number of them."""
    if not (dist.is_available() and dist.is_initialized()):
        return [rows]
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    lengths = [int(number) for number in torch.cat(counts).tolist()]
    # All send as many.
    sent = rows.new_zeros(max(lengths), *rows.shape[1:])
    sent[: len(rows)] = rows
    received = [torch.empty_like(sent) for _ in lengths]
    dist.all_gather(received, sent)
    return [part[:length] for part, length in zip(received, lengths, strict=True)]
