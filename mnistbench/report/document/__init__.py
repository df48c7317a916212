"""What a report of results says, section by section, before it is drawn."""
