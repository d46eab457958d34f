"""Trained models that take images: one class, whatever runs the network."""

from solo.prediction.predictor import Predictor
from solo.prediction.tiling import TileRule

__all__ = ["Predictor", "TileRule"]
