"""The proof that a cache is right: situations, oracles, and the checks that hold one to the other."""
