"""Real servers on loopback: a file each, a fixture each, skipped with the reason where one is not there."""
