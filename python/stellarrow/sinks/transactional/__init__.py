"""What sinks share that buffer batches and let rows and coverage count in one step."""
