"""What the commands do: sessions of repeats, from a plan to the files of its runs."""
