"""What a reader of the processor is given: requests, cursors, batches."""
