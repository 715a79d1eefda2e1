"""`python -m stellarrow.cli`."""

from stellarrow.cli import main

main()
