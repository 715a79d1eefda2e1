"""Small records that several processes share, each write of which says what it was made from."""
