"""What is known of tokens beyond their movements: decimals, name and symbol."""
