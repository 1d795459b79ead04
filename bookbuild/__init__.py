"""Executes the chapters and builds the site; no chapter imports it, and it knows none by name."""
