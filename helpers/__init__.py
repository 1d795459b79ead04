"""Small modules that the chapters of the book share; see the reference page for what each does."""
