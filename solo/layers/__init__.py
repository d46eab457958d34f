"""Building blocks that know nothing of SOLO's flow."""
