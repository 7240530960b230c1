"""What the command is made of: flags from settings, one run of `explain`, tables and words."""
