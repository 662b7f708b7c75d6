"""What each fault must leave to be read."""
FAULTS = ()
ACCOUNTS = {}
