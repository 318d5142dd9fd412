"""What the notebooks' exercises are held to: a module for each notebook, an `Exercise` for each exercise."""
