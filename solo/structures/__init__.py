"""What several rooms speak of: boxes, regions, run lengths, the frames of an image."""
