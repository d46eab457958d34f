"""Which evaluator a data set gets."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any

from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators

from solo.architectures import BBOX, BOUNDARY, SEGM
from solo.errors import UserError
from solo.evaluation.cityscapes import CityscapesInstanceEvaluator
from solo.evaluation.coco import COCOEvaluator
from solo.evaluation.shown import ShownEvaluator
from solo.evaluation.voc import VOCInstanceEvaluator

_OF_MASKS = ("voc_instance", "cityscapes_instance")


def build_evaluator(
    dataset_name: str, output_dir: str | None, tasks: Sequence[str] = (BBOX, SEGM)
) -> DatasetEvaluator:
    """Build the evaluator that a data set asks for.

    Args:
        dataset_name: As registered with detectron2. Its metadata's evaluator_type chooses: "coco"
            or none, "voc_instance", which gets COCO's tables, too, or "cityscapes_instance".
        output_dir: Folder for the predictions in COCO's format. None: they are not written.
        tasks: What the model is evaluated by. Without masks it is COCO's rules for boxes that count; boundaries are
            compared by COCO's rules for every data set.

    Raises:
        UserError: If the data set asks for another evaluator, or a package is missing.
    """
    kind = MetadataCatalog.get(dataset_name).get("evaluator_type", "coco")
    if kind == "coco" or (kind in _OF_MASKS and SEGM not in tasks):
        return ShownEvaluator(dataset_name, tuple(tasks), output_dir=output_dir)
    if kind == "voc_instance":
        coco = ShownEvaluator(dataset_name, tuple(tasks), output_dir=output_dir)
        return _Several([coco, VOCInstanceEvaluator(dataset_name)])
    if kind == "cityscapes_instance":
        if BOUNDARY not in tasks:
            return CityscapesInstanceEvaluator(dataset_name)
        boundaries = COCOEvaluator(dataset_name, (BOUNDARY,))
        return _Several([CityscapesInstanceEvaluator(dataset_name), boundaries])
    raise UserError(
        f"the metadata of {dataset_name} asks for the evaluator {kind!r}: supported are 'coco' "
        "(every data set with masks or boxes can use it), 'voc_instance' and 'cityscapes_instance'"
    )


class _Several(DatasetEvaluators):
    """Evaluators side by side, each of which may be asked for some images only."""

    def evaluate(self, image_ids: Collection[Any] | None = None) -> OrderedDict[str, Any]:
        """Return the tables of all; empty but on the main worker."""
        tables = [evaluator.evaluate(image_ids) for evaluator in self._evaluators]
        return OrderedDict(item for table in tables for item in (table or {}).items())
