"""Fuzzing: a small share of it, and that it finds what goes wrong."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import fuzzing.documents
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from fuzz import KINDS
from fuzzing.changes import change_value
from fuzzing.documents import Documents
from fuzzing.outcomes import OK, Outcome, Verdict, attempt, judge
from fuzzing.processes import Limits, run_cases

from solo.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "dev" / "fuzz.py"


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a person does, on this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--jobs", "1", *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def try_one(run, **limits):
    ((index, outcome),) = run_cases(
        lambda index: run(), [7], jobs=1, limits=Limits()._replace(**limits)
    )
    assert index == 7
    return outcome


def test_a_share_of_each_kind_ends_well_or_in_a_sentence():
    done = fuzz("--cases", "12")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^\w+ +(\d+) +(\d+) +0 +0 +0 +0 +0$", done.stdout, re.M)
    assert [int(ok) + int(told) for ok, told in counts] == [12] * 5


@pytest.mark.parametrize("name", KINDS)
def test_a_case_is_a_function_of_seed_and_number(tmp_path, name):
    kind = KINDS[name](tmp_path)

    def write(case):
        folder = tmp_path / "case"
        folder.mkdir()
        data = kind.write(random.Random(case), folder).read_bytes()
        shutil.rmtree(folder)
        return data

    cases = [write(case) for case in range(6)]
    assert cases == [write(case) for case in range(6)]
    assert len(set(cases)) > 3


@pytest.fixture
def documents(tmp_path):
    yield Documents(tmp_path)
    for catalog in (DatasetCatalog, MetadataCatalog):
        if "fuzzed" in catalog:
            catalog.remove("fuzzed")


def run_document(documents, document, tmp_path):
    path = tmp_path / "fuzzed.json"
    path.write_text(json.dumps(document))
    return documents.run(random.Random(0), path)


def test_a_document_without_a_fault_is_fine(documents, tmp_path):
    assert run_document(documents, documents.document, tmp_path) == OK


def test_a_fault_that_the_check_misses_is_found(documents, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzing.documents, "has_errors", lambda *_: False)
    documents.document["images"][2]["height"] = 7
    outcome = run_document(documents, documents.document, tmp_path)
    assert outcome.verdict is Verdict.CLEAN and "3.png" in outcome.text


def test_a_wrong_result_is_found(documents, tmp_path, monkeypatch):
    finder = fuzzing.documents._finder
    # As if the evaluation compared with other objects than training saw.
    monkeypatch.setattr(fuzzing.documents, "_finder", lambda truths, rng: finder({}, rng))
    outcome = run_document(documents, documents.document, tmp_path)
    assert (outcome.verdict, outcome.text) == (Verdict.WRONG, "0")


def test_what_is_planted_is_found():
    def uncaught():
        raise KeyError("image_id")

    assert try_one(lambda: OK) == OK
    outcome = try_one(uncaught)
    assert (outcome.verdict, outcome.what) == (Verdict.EXCEPTION, "KeyError")
    outcome = try_one(lambda: os.kill(os.getpid(), signal.SIGSEGV))
    assert (outcome.verdict, outcome.what) == (Verdict.DEAD, "SIGSEGV")
    outcome = try_one(lambda: bytearray(1 << 30), memory=1 << 28)
    assert (outcome.verdict, outcome.what) == (Verdict.EXCEPTION, "MemoryError")
    outcome = try_one(signal.pause, seconds=1)
    assert (outcome.verdict, outcome.what) == (Verdict.DEAD, "SIGALRM")


def test_a_case_without_an_outcome_is_dead():
    outcome = try_one(lambda: os._exit(3))
    assert (outcome.verdict, outcome.what) == (Verdict.DEAD, "exit status 3")
    assert try_one(lambda: os._exit(0)).verdict is Verdict.DEAD


def test_cases_side_by_side_keep_their_numbers():
    def run(index):
        return Outcome(Verdict.TOLD, str(index))

    found = dict(run_cases(run, range(9), jobs=4, limits=Limits()))
    assert found == {index: Outcome(Verdict.TOLD, str(index)) for index in range(9)}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (UserError("a.json: no such class"), Verdict.TOLD),
        (FileNotFoundError(2, "there is none", "a.json"), Verdict.TOLD),
        (UserError("no such class"), Verdict.NO_SENTENCE),
        (UserError(f"a.json: {'x' * 1000}"), Verdict.NO_SENTENCE),
        (UserError("a.json\nTraceback"), Verdict.NO_SENTENCE),
        (ValueError("a.json: no such class"), Verdict.EXCEPTION),
        (MemoryError(), Verdict.EXCEPTION),
    ],
)
def test_a_sentence_names_the_file_and_is_one(error, verdict):
    assert judge(error, ["a.json"]).verdict is verdict


def test_the_place_is_the_innermost_line_of_solo():
    from solo.structures.run_lengths import as_compressed

    outcome, result = attempt(["a.json"], as_compressed, {"size": [2, 2], "counts": {}})
    assert result is None
    assert re.fullmatch(r"solo/structures/run_lengths\.py:\d+", outcome.where)


def test_changes_depend_on_the_generator_only():
    def changed(seed):
        tree = {"a": [1, {"b": [1.5, "text"]}], "c": {"d": [[1, 2], [3, 4]]}}
        change_value(tree, random.Random(seed))
        return json.dumps(tree, sort_keys=True)

    assert [changed(seed) for seed in range(50)] == [changed(seed) for seed in range(50)]
    assert len({changed(seed) for seed in range(50)}) > 20
