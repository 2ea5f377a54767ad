"""Studies: several runs over several seeds, and the results file they fill."""
