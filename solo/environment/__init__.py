"""What solo needs around it: brought where it is missing, looked at, with neither torch nor detectron2."""
