"""The loop: ledgers decoded ahead in parallel, handed on in order, committed; bad ones isolated."""
