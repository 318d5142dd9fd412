"""What a cache costs, and what it keeps of the model's quality."""
