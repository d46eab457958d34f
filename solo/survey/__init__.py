"""What the model will see of a data set, what settings would fit it, and what a trained one makes of it."""
