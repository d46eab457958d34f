import torch
from torch import nn

from solo.benchmark.limit import describe_limit
from solo.benchmark.timing import measure
from solo.layers.product import product
from solo.layers.stages import stage

CPU = torch.device("cpu")


def test_operations_of_stages():
    conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)

    def work():
        with stage("conv"):
            conv(torch.ones(1, 3, 8, 8))
        with stage("product"):
            product(torch.ones(5, 6), torch.ones(6, 7))
        with stage("no"):
            torch.ones(2).sum()

    with torch.no_grad():
        rows = measure(work, device=CPU, repeats=1)
    operations = {row.name: (row.gflops or 0) * row.median_ms * 1e6 for row in rows}
    counts = {"conv": 2 * 3 * 4 * 9 * 64, "product": 2 * 5 * 6 * 7, "no": 0, "the rest": 0}
    # Rates are rounded to 0.1 GFLOP/s.
    for name, count in {**counts, "all": sum(counts.values())}.items():
        median = next(row.median_ms for row in rows if row.name == name)
        assert abs(operations[name] - count) <= 0.051 * median * 1e6


def test_what_the_machine_can_do():
    assert "GFLOP/s in float32" in describe_limit(CPU)
