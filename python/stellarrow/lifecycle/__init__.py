"""Data that ages: what is kept, archived and deleted, by when its ledgers closed."""
