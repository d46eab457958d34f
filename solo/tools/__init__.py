"""Commands: python -m solo.tools.<verb>."""
