"""The command `solo`: one file a verb, which reads arguments and prints; what it does is elsewhere."""
