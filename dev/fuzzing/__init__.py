"""What dev/fuzz.py is made of: a file for each kind of input, and processes with limits for the cases."""
