"""Trained models that take images: one class, whatever runs the network."""

from solo.inference.predictor import Predictor
from solo.inference.tiling import TileRule

__all__ = ["Predictor", "TileRule"]
