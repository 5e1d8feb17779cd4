"""Where data come from and go to: tables in files, written atomically."""
