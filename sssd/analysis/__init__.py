"""Reading finished runs: curves, contact sheets and tables."""
