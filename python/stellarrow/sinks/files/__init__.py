"""Files of tables in a folder or an object store: one structure under every format.

layout and manifest say where things lie, a store moves bytes, a format turns rows into them, and the sink
ties them together: runs of rows, the files of one ledger range, a table, all tables.
"""
