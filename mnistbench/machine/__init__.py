"""The machine: what it is, what it does beside a repeat, and what will disturb one."""
