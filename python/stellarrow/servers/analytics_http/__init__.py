"""REST over tables and figures: endpoints by subject, each with its parameters and its description."""
