"""What detectron2's backbones lack."""
