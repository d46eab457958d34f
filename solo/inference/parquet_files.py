"""What was found in very many images, in Parquet files of some images each: written whole, read again, as JSON.

Rows, one an image:

    path            as it was named; see below
    height, width   pixels; null where the image could not be read
    error           why there is nothing, in words; null where all went well
    boxes           XYWH in pixels, per object
    scores          likewise, as are category_ids, category_names
    rle_counts      masks as COCO's run lengths, of (height, width); null if the model finds boxes alone

The metadata of the schema says in JSON under `solo` which model found it and from which score on, and under
`solo_folder` the folder that paths are relative to.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from solo.errors import MissingPackageError, UserError
from solo.files import check_folder, written_whole

try:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet
except ImportError as error:
    raise MissingPackageError(
        'Parquet files need pyarrow: run `pip install "ray[data]"`, which brings it.',
        name=error.name,
    ) from error

TABLE_SUFFIXES = (".csv", ".parquet")
# Neither hidden files, which are being written, nor what others put beside.
_PARTS = "part-*.parquet"
_KEY, _FOLDER_KEY = b"solo", b"solo_folder"
# That are in memory while JSON is written. More than one: each call wrote its own, in the order of the paths.
_OPEN_PARTS = 32


class FoundIn(NamedTuple):
    """What was found in one image, or why nothing."""

    path: str
    size: tuple[int, int] | None = None  # (H, W)
    records: Sequence[Mapping[str, Any]] = ()  # of `Predictor.to_dicts`
    error: str | None = None


class Written(NamedTuple):
    """What a JSON file holds."""

    num_images: int
    num_instances: int
    num_unreadable: int  # images that are left out


def name_of_part(paths: Sequence[str], folder: str) -> str:
    """Return the file name of the part with these images: a part that is done twice is one file."""
    names = "\n".join(absolute(path, folder) for path in paths)
    digest = hashlib.sha256(names.encode(errors="surrogateescape"))
    return f"part-{digest.hexdigest()[:20]}.parquet"


def absolute(path: str, folder: str) -> str:
    """Return what is the same for all names of an image, those that are relative to a folder among them."""
    return os.path.abspath(os.path.join(folder, path))


def write_part(
    found: Sequence[FoundIn], file: Path, description: Mapping[str, Any], folder: str
) -> None:
    """Write a file of some images, whole or not at all.

    Args:
        found: In the order of the rows.
        file: Its name is of `name_of_part`.
        description: The model; of plain Python.
        folder: That paths are relative to.

    Raises:
        OSError: It cannot be written.
    """
    rows = [_row(each) for each in found]
    metadata = {_KEY: json.dumps(description), _FOLDER_KEY: json.dumps(folder)}
    schema = _schema(description).with_metadata(metadata)
    with written_whole(file) as partial:
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(rows, schema=schema), partial, compression="zstd"
        )


def _schema(description: Mapping[str, Any]) -> pyarrow.Schema:
    # Of a few formats of annotations the ids are text.
    is_text = any(isinstance(each, str) for each in description["category_ids"])
    kinds = {
        "path": pyarrow.string(),
        "height": pyarrow.int32(),
        "width": pyarrow.int32(),
        "error": pyarrow.string(),
        "boxes": pyarrow.list_(pyarrow.list_(pyarrow.float64())),
        "scores": pyarrow.list_(pyarrow.float64()),
        "category_ids": pyarrow.list_(pyarrow.string() if is_text else pyarrow.int64()),
        "category_names": pyarrow.list_(pyarrow.string()),
        "rle_counts": pyarrow.list_(pyarrow.string()),
    }
    return pyarrow.schema(kinds.items())


def _row(found: FoundIn) -> dict[str, Any]:
    height, width = found.size or (None, None)
    boxed_only = any("segmentation" not in record for record in found.records)
    fields = {"boxes": "bbox", "scores": "score"}
    fields |= {"category_ids": "category_id", "category_names": "category_name"}
    return {
        **{"path": found.path, "height": height, "width": width, "error": found.error},
        **{name: [record[field] for record in found.records] for name, field in fields.items()},
        "rle_counts": None
        if boxed_only
        else [record["segmentation"]["counts"] for record in found.records],
    }


def parts_of(folder: Path) -> list[Path]:
    """Return the files of a folder that hold results, sorted."""
    return sorted(folder.glob(_PARTS))


def description_of(part: Path) -> dict[str, Any]:
    """Return what a file says of the model that found what is in it.

    Raises:
        UserError: It is none of ours, or damaged.
    """
    described: dict[str, Any] = _told_by(_read(part, "path"), _KEY, part)
    return described


def done_in(folder: Path) -> dict[str, bool]:
    """Return the images that are in a folder, by absolute path, and whether each was read.

    Raises:
        UserError: A file there is damaged.
    """
    done: dict[str, bool] = {}
    for part in parts_of(folder):
        table = _read(part, "path", "error")
        for path, error in zip(_paths(table, part), table["error"].to_pylist(), strict=True):
            done.setdefault(path, error is None)
    return done


def _paths(table: pyarrow.Table, part: Path) -> list[str]:
    """Return the absolute paths of the rows."""
    folder: str = _told_by(table, _FOLDER_KEY, part)
    return [absolute(path, folder) for path in table["path"].to_pylist()]


def _told_by(table: pyarrow.Table, key: bytes, part: Path) -> Any:
    try:
        return json.loads((table.schema.metadata or {})[key])
    except (KeyError, ValueError) as error:
        raise _not_ours(part, "it says nothing of a model") from error


def paths_of_table(file: Path) -> list[str]:
    """Return the column `path` of a Parquet or CSV file.

    Raises:
        UserError: It cannot be read, or has no such column, or a row without a path.
    """
    try:
        if file.suffix.lower() == ".csv":
            # What looks like a number is a name, too.
            options = pyarrow.csv.ConvertOptions(
                column_types={"path": pyarrow.string()}, include_columns=["path"]
            )
            table = pyarrow.csv.read_csv(file, convert_options=options)
        else:
            with pyarrow.parquet.ParquetFile(file) as opened:
                table = opened.read(columns=["path"]).select(["path"])
    except (pyarrow.ArrowException, KeyError) as error:
        raise UserError(
            f"{file}: cannot be read as a table with a column `path` ({_first_line(error)})."
        ) from error
    paths: list[str] = table["path"].to_pylist()
    for number, path in enumerate(paths, 1):
        if not isinstance(path, str) or not path:
            raise UserError(f"{file}: row {number} has no path of an image, but {path!r}.")
    return paths


def write_coco_json(
    folder: str | os.PathLike[str],
    file: str | os.PathLike[str],
    paths: Sequence[str] | None = None,
) -> Written:
    """Write what is in a folder of Parquet files as `solo predict --json` does: each image once.

    Of the rows no more are in memory than of a few files.

    Args:
        folder: Output of `solo.inference.ray.predict_files`.
        file: Becomes a COCO-style list.
        paths: Images, in the order and by the names that they have in the list; those without results are left
            out. None: all in the folder, sorted by path, as they were named first.

    Raises:
        OSError: It cannot be written.
        UserError: There are no results in the folder, or a file there is damaged.
    """
    parts = parts_of(Path(folder))
    if not parts:
        raise UserError(f"{folder}: holds no results ({_PARTS}).")
    file = Path(file)
    check_folder(file.parent)
    images = instances = unreadable = 0
    with written_whole(file) as partial, partial.open("w", encoding="utf-8") as text:
        text.write("[")
        for row in _rows(parts, paths):
            for record in _records(row):
                text.write((", " if instances else "") + json.dumps(record))
                instances += 1
            images += 1
            unreadable += row["error"] is not None
        text.write("]")
    return Written(images, instances, unreadable)


def _rows(parts: Sequence[Path], paths: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of these images, and of one that is there twice the first."""
    places: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        for row, path in enumerate(_paths(_read(part, "path"), part)):
            places.setdefault(path, (number, row))

    @lru_cache(maxsize=_OPEN_PARTS)
    def rows_of(number: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = _read(parts[number]).to_pylist()
        return rows

    if paths is None:
        for path in sorted(places, key=_place_of):
            number, row = places[path]
            yield rows_of(number)[row]
        return
    folder = os.getcwd()
    for path in paths:
        if place := places.get(absolute(path, folder)):
            number, row = place
            yield {**rows_of(number)[row], "path": path}


def _place_of(path: str) -> str:
    """Return what sorts paths as the listing of a folder does: part by part."""
    return path.replace(os.sep, "\0")


def _records(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of an image, as of `Predictor.to_dicts` with the file's name."""
    size, counts = [row["height"], row["width"]], row["rle_counts"]
    named = (row["category_ids"], row["category_names"], row["scores"], row["boxes"])
    return [
        {
            "file_name": row["path"],
            "category_id": category,
            "category_name": name,
            "score": score,
            "bbox": box,
            **({"segmentation": {"size": size, "counts": counts[index]}} if counts else {}),
        }
        for index, (category, name, score, box) in enumerate(zip(*named, strict=True))
    ]


def _read(part: Path, *columns: str) -> pyarrow.Table:
    """Read columns of a file of results, or all."""
    try:
        with pyarrow.parquet.ParquetFile(part) as file:
            table = file.read(columns=list(columns) or None)
            table.select(["path"])
    except (pyarrow.ArrowException, KeyError, OSError) as error:
        raise _not_ours(part, _first_line(error)) from error
    return table


def _not_ours(part: Path, reason: str) -> UserError:
    return UserError(f"{part}: is damaged, or no result of ours ({reason}); remove it and go on.")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
