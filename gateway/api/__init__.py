"""The front doors: HTTP in, one file each."""
