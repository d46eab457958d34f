"""What a trained model gets right and wrong, as one HTML page."""
