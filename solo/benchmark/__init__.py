"""How long things take and how much memory they need: what `solo benchmark` runs."""
