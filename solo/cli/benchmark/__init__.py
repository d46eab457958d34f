"""`solo benchmark VERB`: time and memory, stage by stage."""
