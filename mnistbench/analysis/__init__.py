"""What results mean: statistics, comparisons and verdicts, from files and arrays alone."""
