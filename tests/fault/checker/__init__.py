"""The checker's parts: a run's facts, and one module for each family of invariants. No code of the product."""
