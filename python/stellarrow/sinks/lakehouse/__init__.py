"""What tables in open formats share: the same Parquet files, each format with a log of its own."""
