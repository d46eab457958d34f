"""The formats in which annotations are read, and which of them a file is in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from solo.config.choices import AnnotationFormat, choose
from solo.data.document import Raw
from solo.data.formats.coco_document import read_json
from solo.data.formats.cvat import looks_like_cvat, read_cvat
from solo.data.formats.file_heads import json_keys
from solo.data.formats.labelme import looks_like_labelme, read_labelme
from solo.data.formats.pascal_xml import looks_like_voc_xml, read_voc_xml
from solo.data.formats.via import looks_like_via, read_via
from solo.data.formats.visdrone import looks_like_visdrone, read_visdrone
from solo.data.formats.yolo import looks_like_yolo, read_yolo
from solo.data.formats.yolo_files import YAML_SUFFIXES, parse_path
from solo.errors import UserError

_SECTIONS = {"info", "images", "annotations", "categories"}


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    Attributes:
        name: The word for it.
        title: What one of its files is called in a sentence.
        read: Turns a path and the folder of the images into a document in COCO's shape.
        recognises: Whether a path is in this format; cheap, and sure.
    """

    name: AnnotationFormat
    title: str
    read: Callable[[Path, Path], Raw]
    recognises: Callable[[Path], bool]


def looks_like_coco(path: Path) -> bool:
    """Return whether a path is a json file with images, annotations or categories."""
    return path.is_file() and bool(json_keys(path)[0] & _SECTIONS)


def _read_coco(path: Path, _: Path) -> Raw:
    """Read a file in COCO's format.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is none; names its format, if that is another one.
    """
    is_stranger = path.exists() and not looks_like_coco(path)
    if is_stranger and (other := next((form for form in _OTHERS if form.recognises(path)), None)):
        raise UserError(
            f"{path} is {other.title}, and not in COCO's format: name the format {other.name} "
            "in DATASETS.FILES"
        )
    return read_json(path)


_OTHERS = (
    Format(AnnotationFormat.YOLO, "YOLO's data.yaml or labels", read_yolo, looks_like_yolo),
    Format(AnnotationFormat.LABELME, "LabelMe's json", read_labelme, looks_like_labelme),
    Format(AnnotationFormat.VIA, "a VIA project", read_via, looks_like_via),
    Format(AnnotationFormat.CVAT, "an export of CVAT", read_cvat, looks_like_cvat),
    Format(AnnotationFormat.VOC_XML, "VOC's boxes", read_voc_xml, looks_like_voc_xml),
    Format(AnnotationFormat.VISDRONE, "VisDrone's boxes", read_visdrone, looks_like_visdrone),
)
FORMATS = {
    form.name: form
    for form in (
        Format(AnnotationFormat.COCO, "a file in COCO's format", _read_coco, looks_like_coco),
        *_OTHERS,
    )
}


def read_annotations(
    path: Path | str, images: Path | str, form: str = AnnotationFormat.AUTO
) -> Raw:
    """Read annotations of any format.

    Args:
        path: Of the annotations.
        images: The folder of the images.
        form: One of :class:`AnnotationFormat`.

    Returns:
        A document in COCO's shape, as it is written: nothing is judged yet.

    Raises:
        OSError: If a file cannot be read.
        UserError: If it is not in this format, or in none that can be told.
    """
    if "://" in str(path):  # another machine's
        return read_json(path)
    path, images = Path(path).expanduser(), Path(images).expanduser()
    return find_format(path, form).read(path, images)


def find_format(path: Path, form: str = AnnotationFormat.AUTO) -> Format:
    """Return the format of a word; of "auto", the one that recognises a path.

    Raises:
        OSError: If there is no such path.
        UserError: If there is no such word, or no format recognises the path.
    """
    word = choose(AnnotationFormat, form, "The format of annotations")
    if word != AnnotationFormat.AUTO:
        return FORMATS[word]
    for candidate in FORMATS.values():
        if candidate.recognises(path):
            return candidate
    # The readers of these tell what is wrong, or that the file is missing.
    if parse_path(path)[0].suffix.lower() in YAML_SUFFIXES:
        return FORMATS[AnnotationFormat.YOLO]
    if path.suffix.lower() == ".json":
        return FORMATS[AnnotationFormat.COCO]
    path.stat()  # a missing path is told as such
    raise UserError(
        f"{path} is in none of the formats {', '.join(FORMATS)} that can be told apart: name its "
        "format"
    )
