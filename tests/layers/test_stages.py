from contextlib import contextmanager
from threading import Thread

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from solo.layers.stages import heard_by, stage


class Ear:
    def __init__(self):
        self.heard = []

    @contextmanager
    def __call__(self, name):
        self.heard.append(name)
        yield
        self.heard.append(f"/{name}")


@stage("outer")
def double(x):
    with stage("inner"):
        return 2 * x


def test_listener_hears_bodies_and_functions_that_were_marked_before():
    ear = Ear()
    with heard_by(ear):
        assert double(3) == 6
    assert double(4) == 8
    assert ear.heard == ["outer", "inner", "/inner", "/outer"]


def test_what_fails_is_heard_no_more():
    ear = Ear()
    with pytest.raises(KeyError), heard_by(ear):
        raise KeyError
    double(1)
    assert ear.heard == []


def test_another_thread_is_not_heard():
    ear = Ear()
    with heard_by(ear):
        thread = Thread(target=double, args=(1,))
        thread.start()
        thread.join()
    assert ear.heard == []


def test_profiler_shows_the_stages():
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        double(torch.ones(2))
    assert {"solo::outer", "solo::inner"} <= {event.key for event in trace.key_averages()}


def test_graphs_have_no_marks():
    # Not strict, as `solo.export` asks for it: the compiler of torch before 2.8 does not read contexts as decorators.
    program = torch.export.export(Double(), (torch.ones(2),), strict=False)
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert calls == [torch.ops.aten.mul.Tensor]
    traced = torch.jit.trace(Double(), torch.ones(2))
    assert not traced.graph.findAllNodes("profiler::_record_function_enter_new")


class Double(torch.nn.Module):
    def forward(self, x):
        return double(x)
