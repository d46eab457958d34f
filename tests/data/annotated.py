"""The same few images and objects, written in the formats of annotation tools, by writers of their own."""

import base64
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

CLASSES = ["cat", "dog", "höhle"]


@dataclass
class Drawn:
    """An object: polygons [[x, y, ...]] or a mask (H, W) bool."""

    label: str
    polygons: list = field(default_factory=list)
    mask: np.ndarray | None = None


@dataclass
class Scene:
    file_name: str
    size: tuple  # height, width
    objects: list


def mask_of(drawn, size):
    """Return what is drawn, (H, W) bool."""
    if drawn.mask is not None:
        return drawn.mask
    rles = coco_mask.frPyObjects(drawn.polygons, *size)
    return coco_mask.decode(coco_mask.merge(rles)).astype(bool)


def holed(size, top=10, left=12, side=24, hole=8):
    """A square with a hole, and a second part that touches it at a corner."""
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    mask[top + hole : top + 2 * hole, left + hole : left + 2 * hole] = False
    mask[top + side : top + side + 6, left + side : left + side + 9] = True
    return mask


def scenes(parts=True, holes=True):
    """Three images: one in a folder, one with nothing on it, one that lies on its side in the file."""
    first, second = (64, 96), (80, 48)
    objects = [
        Drawn("dog", [[4, 5, 40.5, 8.25, 30, 40, 9.75, 33]]),
        Drawn("cat", [[50.5, 10, 90, 10, 90, 50.5, 70, 30, 50.5, 50.5]]),
    ]
    if parts:
        objects.append(Drawn("cat", [[2, 50, 20, 50, 11, 62], [60, 52, 80, 55, 80, 63, 61, 60]]))
    if holes:
        objects.append(Drawn("dog", mask=holed(first)))
    turned = [Drawn("höhle", [[5, 6, 40, 9, 33, 70.25, 12, 60]])]
    return [
        Scene("a b.png", first, objects),
        Scene("empty.png", first, []),
        Scene("sub/turned.jpg", second, turned),
    ]


def write_images(images, scenes):
    """Write noise; JPEGs are stored turned by a quarter, as cameras do."""
    rng = np.random.default_rng(0)
    for scene in scenes:
        path = images / scene.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (*scene.size, 3), dtype=np.uint8)
        for number, drawn in enumerate(scene.objects):
            pixels[mask_of(drawn, scene.size)] = (60 * number, 255 - 60 * number, 120)
        if path.suffix == ".jpg":
            exif = Image.Exif()
            exif[0x0112] = 6  # to be turned clockwise
            Image.fromarray(np.rot90(pixels)).save(path, exif=exif, quality=95)
        else:
            Image.fromarray(pixels).save(path)
    return images


def pairs(polygon):
    return [list(point) for point in zip(polygon[::2], polygon[1::2], strict=True)]


def write_coco(root, scenes):
    images, annotations = [], []
    for number, scene in enumerate(scenes, 1):
        height, width = scene.size
        name = scene.file_name
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for drawn in scene.objects:
            segmentation = drawn.polygons
            if drawn.mask is not None:
                rle = coco_mask.encode(np.asfortranarray(drawn.mask, dtype=np.uint8))
                segmentation = {"size": [height, width], "counts": rle["counts"].decode()}
            item = {"image_id": number, "category_id": CLASSES.index(drawn.label) + 1}
            item |= {"id": len(annotations) + 1, "segmentation": segmentation, "iscrowd": 0}
            annotations.append(item)
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "coco.json").write_text(json.dumps(document))
    return root / "coco.json", write_images(root / "images", scenes)


def write_labelme(root, scenes):
    """Polygons with a group_id where an object has several, and masks as PNG."""
    folder = root / "labels"
    images = write_images(root / "images", scenes)
    for scene in scenes:
        shapes = []
        for number, drawn in enumerate(scene.objects):
            shape = {"label": drawn.label, "group_id": None, "shape_type": "polygon", "flags": {}}
            if drawn.mask is not None:
                rows, columns = (np.flatnonzero(drawn.mask.any(axis)) for axis in (1, 0))
                box = drawn.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                png = io.BytesIO()
                Image.fromarray(box).save(png, "PNG")
                points = [[int(columns[0]), int(rows[0])], [int(columns[-1]), int(rows[-1])]]
                text = base64.b64encode(png.getvalue()).decode()
                shapes.append(shape | {"shape_type": "mask", "points": points, "mask": text})
            group = number if len(drawn.polygons) > 1 else None
            for polygon in drawn.polygons:
                shapes.append(shape | {"points": pairs(polygon), "group_id": group})
        path = folder / f"{scene.file_name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        relative = Path(*[".."] * len(path.relative_to(root).parts[:-1]), "images")
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": str(relative / scene.file_name).replace("/", "\\"),
            "imageData": None,
            "imageHeight": scene.size[0],
            "imageWidth": scene.size[1],
        }
        path.write_text(json.dumps(content), encoding="utf-8-sig")
    (folder / "labels.txt").write_text("\n".join(["__ignore__", "_background_", *CLASSES]))
    return folder, images


def write_via(root, scenes):
    metadata = {}
    for scene in scenes:
        regions = [
            {
                "shape_attributes": {
                    "name": "polygon",
                    "all_points_x": polygon[::2],
                    "all_points_y": polygon[1::2],
                },
                "region_attributes": {"kind": drawn.label, "note": ""},
            }
            for drawn in scene.objects
            for polygon in drawn.polygons
        ]
        name = scene.file_name
        metadata[f"{name}-1"] = {"filename": name, "size": -1, "regions": regions}
    options = {"type": "dropdown", "options": dict.fromkeys(CLASSES, "")}
    project = {
        "_via_settings": {"ui": {}},
        "_via_img_metadata": metadata,
        "_via_attributes": {"region": {"kind": options}, "file": {}},
    }
    (root / "via.json").write_text(json.dumps(project))
    return root / "via.json", write_images(root / "images", scenes)


def rows_of(mask):
    """Return the box of a mask, and its runs by rows, of 0 first."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    runs, value = [0], False
    for pixel in box.ravel():
        if pixel == value:
            runs[-1] += 1
        else:
            runs.append(1)
            value = pixel
    return int(columns[0]), int(rows[0]), box.shape, runs


def write_cvat(root, scenes):
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>"]
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    lines.append(f"<meta><task><labels>{labels}</labels></task></meta>")
    for number, scene in enumerate(scenes):
        height, width = scene.size
        name = quoteattr(scene.file_name)
        lines.append(f'<image id="{number}" name={name} width="{width}" height="{height}">')
        for group, drawn in enumerate(scene.objects, 1):
            label = f'label={quoteattr(drawn.label)} source="manual" occluded="0" z_order="0"'
            if drawn.mask is not None:
                left, top, (rows, columns), runs = rows_of(drawn.mask)
                where = f'left="{left}" top="{top}" width="{columns}" height="{rows}"'
                lines.append(f'<mask {label} rle="{str(runs)[1:-1]}" {where}></mask>')
            for polygon in drawn.polygons:
                points = ";".join(f"{x:.2f},{y:.2f}" for x, y in pairs(polygon))
                grouped = f' group_id="{group}"' if len(drawn.polygons) > 1 else ""
                lines.append(f'<polygon {label} points="{points}"{grouped}></polygon>')
        lines.append("</image>")
    path = root / "annotations.xml"
    path.write_text("\n".join([*lines, "</annotations>"]), encoding="utf-8")
    return path, write_images(root / "images", scenes)


def write_yolo(root, scenes):
    """One polygon for each object; the images are split by a data.yaml, and two of them listed in a file."""
    images = write_images(root / "images" / "train", scenes)
    for scene in scenes:
        height, width = scene.size
        lines = []
        for drawn in scene.objects:
            (polygon,) = drawn.polygons
            shares = np.array(pairs(polygon)) / (width, height)
            numbers = " ".join(f"{value:.6f}" for value in shares.ravel())
            lines.append(f"{CLASSES.index(drawn.label)} {numbers}\n")
        path = (root / "labels" / "train" / scene.file_name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        if lines:  # images without objects have no file
            path.write_text("".join(lines))
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
    text = f"path: .\ntrain: images/train\nval: images/train\nnc: {len(CLASSES)}\nnames:\n{names}"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return Path(f"{root}/data.yaml:train"), images


def write_voc_xml(root, scenes):
    """Boxes of what is drawn."""
    folder = root / "Annotations"
    for scene in scenes:
        objects = []
        for drawn in scene.objects:
            mask = mask_of(drawn, scene.size)
            rows, columns = (np.flatnonzero(mask.any(axis)) + 1 for axis in (1, 0))
            sides = zip(
                ("xmin", "ymin", "xmax", "ymax"),
                (columns[0], rows[0], columns[-1], rows[-1]),
                strict=True,
            )
            box = "".join(f"<{side}>{number}</{side}>" for side, number in sides)
            objects.append(f"<object><name>{drawn.label}</name><bndbox>{box}</bndbox></object>")
        height, width = scene.size
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        name = f"<filename>{scene.file_name}</filename>"
        path = (folder / scene.file_name).with_suffix(".xml")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"<annotation>{name}{size}{''.join(objects)}</annotation>"
        path.write_text(text, encoding="utf-8")
    return folder, write_images(root / "images", scenes)


def write_visdrone(root, scenes):
    """Boxes of what is drawn, of VisDrone's classes in the place of ours, and a region to ignore."""
    folder = root / "annotations"
    images = write_images(root / "images", scenes)
    for scene in scenes:
        lines = ["0,0,5,4,0,0,0,0", "6,1,3,2,1,11,0,0"] if scene.objects else []
        for drawn in scene.objects:
            rows, columns = (np.flatnonzero(mask_of(drawn, scene.size).any(a)) for a in (1, 0))
            box = columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
            numbers = *box, 1, 1 + CLASSES.index(drawn.label), 0, 2
            lines.append(",".join(map(str, numbers)))
        path = (folder / scene.file_name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))
    return folder, images


WRITERS = {
    "coco": write_coco,
    "labelme": write_labelme,
    "via": write_via,
    "cvat": write_cvat,
    "yolo": write_yolo,
}
