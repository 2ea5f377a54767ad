"""Reading finished runs: curves, phases, tables and contact sheets."""
