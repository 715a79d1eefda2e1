"""What is stored against what should be."""
