"""A few tiny images in the folders and formats in which Cityscapes, Pascal VOC and SBD come."""

import json

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (64, 96)  # height, width


def photo(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(path)


def id_map(rectangles, dtype=np.uint8):
    """Draw (number, left, top, right, bottom), later ones on top."""
    ids = np.zeros(SIZE, dtype)
    for number, left, top, right, bottom in rectangles:
        ids[top:bottom, left:right] = number
    return ids


def write_cityscapes(root, split="train", images=2):
    """Per image: two persons that touch, a car, a group of persons, road, and a void strip."""
    for index in range(images):
        city = ("aachen", "bochum")[index % 2]
        base = f"{city}_00000{index}_000019"
        photo(root / f"cityscapes/leftImg8bit/{split}/{city}/{base}_leftImg8bit.png", index)
        ids = id_map(
            [
                (7, 0, 0, 96, 64),  # road
                (1, 0, 0, 96, 4),  # ego vehicle: ignored
                (24000, 4, 8, 24, 40),
                (24001, 24, 8, 44, 40),
                (26000, 50, 8, 90, 30),
                (24, 60, 40, 90, 60),
            ],
            np.int32,
        )
        folder = root / f"cityscapes/gtFine/{split}/{city}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ids.astype(np.uint16)).save(folder / f"{base}_gtFine_instanceIds.png")
        labels = np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)
        Image.fromarray(labels).save(folder / f"{base}_gtFine_labelIds.png")
        objects = [{"label": "road", "polygon": [[0, 0], [95, 0], [95, 63], [0, 63]]}]
        document = {"imgHeight": SIZE[0], "imgWidth": SIZE[1], "objects": objects}
        (folder / f"{base}_gtFine_polygons.json").write_text(json.dumps(document))
    return root / "cityscapes"


# A cat whose hind part a person hides, so that it has two parts, and a void rim around the person.
VOC_IDS = id_map([(1, 10, 10, 70, 40), (255, 30, 10, 54, 54), (2, 32, 12, 52, 52)])
VOC_CLASSES = id_map([(8, 10, 10, 70, 40), (255, 30, 10, 54, 54), (15, 32, 12, 52, 52)])


def write_voc(root, names=("2007_000032", "2008_000019")):
    folder = root / "VOC2012"
    for index, name in enumerate(names):
        photo(folder / "JPEGImages" / f"{name}.jpg", index)
        for kind, ids in (("SegmentationObject", VOC_IDS), ("SegmentationClass", VOC_CLASSES)):
            image = Image.fromarray(ids, mode="P")
            image.putpalette(list(range(256)) * 3)
            (folder / kind).mkdir(parents=True, exist_ok=True)
            image.save(folder / kind / f"{name}.png")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text(f"{names[0]}\n")
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in names[1:]))
    (lists / "trainval.txt").write_text("".join(f"{name}\n" for name in names))
    return folder


def write_sbd(root, name="2008_000002"):
    folder = root / "benchmark_RELEASE" / "dataset"
    photo(folder / "img" / f"{name}.jpg")
    (folder / "inst").mkdir()
    ids = np.where(VOC_IDS == 255, 0, VOC_IDS).astype(np.uint8)
    truth = {"Segmentation": ids, "Categories": np.array([[8], [15]]), "Boundaries": 0}
    savemat(folder / "inst" / f"{name}.mat", {"GTinst": truth})
    one = {"Segmentation": (ids == 1).astype(np.uint8), "Categories": np.array([[8]])}
    savemat(folder / "inst" / "one.mat", {"GTinst": one})
    photo(folder / "img" / "one.jpg")
    (folder / "train.txt").write_text(f"{name}\none\n")
    (folder / "val.txt").write_text(f"{name}\n")
    return folder
