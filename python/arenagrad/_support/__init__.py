"""What several public modules use: checks of arguments, files that are complete or absent."""
