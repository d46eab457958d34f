"""Data sets, and the way from their records to the batches of the model."""

from solo.data import formats
from solo.data.catalog import check_registered
from solo.data.classes import (
    check_class_counts,
    dataset_class_names,
    dataset_classes,
    resolve_num_classes,
)
from solo.data.kept_records import load_records
from solo.data.loader import build_test_loader, build_train_loader
from solo.data.mapper import SOLODatasetMapper
from solo.data.sampler import TrainingBatchSampler
from solo.images import UnreadableImageError

__all__ = [
    "SOLODatasetMapper",
    "TrainingBatchSampler",
    "UnreadableImageError",
    "build_test_loader",
    "build_train_loader",
    "check_class_counts",
    "check_registered",
    "dataset_class_names",
    "dataset_classes",
    "formats",
    "load_records",
    "resolve_num_classes",
]
