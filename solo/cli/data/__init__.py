"""`solo data VERB`: what concerns a data set and no model."""
