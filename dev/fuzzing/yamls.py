"""Configs: changed keys, values, indentation and bytes; loops, tags and bombs. None may run code."""

import random
from collections.abc import Callable
from pathlib import Path

import yaml

from fuzzing.changes import change_bytes, change_value
from fuzzing.kind import Kind
from fuzzing.outcomes import ROOT, Outcome, attempt, wrong
from solo.config import get_cfg
from solo.config.load import load_config

_CONFIG = ROOT / "configs" / "quickstart" / "solov2_digits.yaml"
# What a tag makes in the folder of the case if it is run.
_TRACE = "ran"
_VALUES = (
    *(
        "null",
        "~",
        '""',
        "text",
        "true",
        "-1",
        "0",
        "1e308",
        ".nan",
        ".inf",
        "1_000",
        "0x1F",
        "2026-01-01",
    ),
    *(
        "[]",
        "{}",
        "[[]]",
        "[1, text]",
        "{a: 1}",
        "(1, 2)",
        "(1,",
        "!!binary aGk=",
        "!!set {a, b}",
        "*there",
    ),
    *(
        "!!float 1",
        "!!timestamp x",
        "&a [*a]",
        "&a {b: *a}",
        "9" * 5000,
        "'" + "(" * 3000 + "'",
        "|",
        ">",
    ),
    *("!!python/tuple [1]", "!!python/name:os.system", "!!python/module:os"),
    *("\"__import__('os').mkdir('{trace}')\"", '!!python/object/apply:os.mkdir ["{trace}"]'),
    *(
        '!!python/object/new:os.mkdir ["{trace}"]',
        '!!python/object/apply:builtins.eval ["{trace}"]',
    ),
)
_BASES = (
    *(
        "fuzzed.yaml",
        "./other.yaml",
        "missing.yaml",
        ".",
        "../..",
        "",
        "~",
        "[]",
        "[fuzzed.yaml]",
        "3",
    ),
    *("[missing.yaml]", "[3]", "{}", "null", "/dev/null", "~nobody/x.yaml", "'\\0'", "other.yaml"),
)


class Yamls(Kind):
    """The quickstart's config with one to three changes, of lines, of values or of bytes."""

    name, cases = "yaml", 1_000

    def __init__(self, folder: Path) -> None:
        """Copy the configs that the changed one is based on."""
        self.text = _CONFIG.read_text()
        for path in (ROOT / "configs").glob("Base-*.yaml"):
            (folder / path.name).write_text(path.read_text())

    def write(self, rng: random.Random, folder: Path) -> Path:
        """Write a config, and another one beside it that is based on the first."""
        path = folder / "fuzzed.yaml"
        (folder / "other.yaml").write_text("_BASE_: fuzzed.yaml\n")
        data = self.text.encode()
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = rng.choice(_CHANGES)(data, rng)
        path.write_bytes(data.replace(b"{trace}", str(folder / _TRACE).encode()))
        return path

    def run(self, rng: random.Random, path: Path) -> Outcome:
        """Load it as training does, but for the data set, and see whether code of it ran.

        A sentence may name a key in place of the file: options of the command line lie over it.
        """
        names = (path.name, *(f"{key}." for key in get_cfg()))
        outcome, _ = attempt(names, load_config, path, device="cpu", needs_classes=False)
        if (path.parent / _TRACE).exists():
            return wrong("code of the file was run", "config")
        return outcome


def _change_line(data: bytes, rng: random.Random) -> bytes:
    """Indent, remove, repeat or exchange lines, or give one another value or key."""
    lines = data.decode(errors="replace").split("\n")
    place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    key, colon, value = lines[place].partition(":")
    changes: tuple[Callable[[], object], ...] = (
        lambda: lines.__setitem__(place, rng.choice((" ", "  ", "\t")) + lines[place]),
        lambda: lines.__setitem__(place, lines[place].lstrip()),
        lambda: lines.pop(place),
        lambda: lines.insert(other, lines[place]),
        lambda: lines.__setitem__(place, f"{key[:-1]}{colon}{value}"),
        lambda: lines.__setitem__(place, f"{key}{colon} {rng.choice(_VALUES)}"),
        lambda: lines.__setitem__(place, f"{key}{colon} {rng.choice(_VALUES)}"),
        lambda: lines.__setitem__(place, f"{key}{colon} {rng.choice(_VALUES)}"),
        lambda: lines.insert(0, rng.choice(_VALUES)),
    )
    rng.choice(changes)()
    return "\n".join(lines).encode()


def _change_tree(data: bytes, rng: random.Random) -> bytes:
    if b"&n0" in data:
        return data  # a bomb would go off here
    try:
        tree = yaml.safe_load(data)
    except Exception:  # an earlier change has done enough; yaml raises nearly anything
        return data
    if not isinstance(tree, dict) or not tree:
        return data
    change_value(tree, rng)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=rng.random() < 0.5).encode()


def _change_base(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b'"../Base-SOLOv2.yaml"', rng.choice(_BASES).encode())


def _bomb(data: bytes, rng: random.Random) -> bytes:
    """Each name stands for nine of the one before it: a billion at the end."""
    kind = rng.choice(("[{}]", "{{{}}}"))
    lines = ["n0: &n0 [text]" if kind == "[{}]" else "n0: &n0 {a: 1}"]
    for level in range(1, rng.choice((3, 9, 30))):
        names = [f"*n{level - 1}" for _ in range(9)]
        if kind != "[{}]":
            names = [f"k{number}: {name}" for number, name in enumerate(names)]
        lines.append(f"n{level}: &n{level} {kind.format(', '.join(names))}")
    key = rng.choice(("", "MODEL:\n  ", "INPUT: "))
    if key == "INPUT: ":
        lines.append(f"INPUT: *n{level}")
    return data + "\n".join(lines).encode() + b"\n"


def _nest(data: bytes, rng: random.Random) -> bytes:
    depth = rng.choice((50, 2000, 20_000))
    opening, closing = rng.choice(((b"[", b"]"), (b"{a: ", b"}")))
    return data + b"INPUT: " + opening * depth + closing * depth + b"\n"


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_change_line,) * 10,
    *(_change_tree,) * 10,
    *(_change_base, _change_base, _bomb, _nest, change_bytes),
    lambda data, rng: b"\xef\xbb\xbf" + data,
    lambda data, rng: data.decode(errors="replace").encode("utf-16"),
    lambda data, rng: data + b"# \xff\xfe\n",
)
