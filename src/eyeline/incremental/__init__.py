"""The exact incremental engine: recomputes only what a covered window can change, and gives the same scores."""
