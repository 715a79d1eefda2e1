"""Flight SQL: what ADBC, JDBC and the tools on them speak, over tables that are read only."""
