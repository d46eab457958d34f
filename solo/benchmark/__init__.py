"""How long things take and how much memory they need: what `python -m solo.tools.benchmark` runs."""
