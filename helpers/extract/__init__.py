"""Features of your own images: lists of files, pixel sizes and scale, tables, several machines."""
