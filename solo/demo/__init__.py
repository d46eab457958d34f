"""A trained model on images, videos and cameras, and as a web page: what `solo predict` and `solo serve` do."""
