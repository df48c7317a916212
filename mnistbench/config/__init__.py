"""What to run: YAML and overrides in, one frozen and fully checked RunConfig out."""
