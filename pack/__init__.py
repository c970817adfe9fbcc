"""What makes packages: manuals, completion, and the files of package formats."""
