"""Models of your own images: properties, models and their files, report, the command line."""
