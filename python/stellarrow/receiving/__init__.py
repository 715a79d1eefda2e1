"""Tables that others push: taken into sinks, each ledger once."""
