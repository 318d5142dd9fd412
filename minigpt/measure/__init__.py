"""What a cache costs, and how good the model stays with it: by closed forms, counts, timings and quality scores."""
