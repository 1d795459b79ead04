"""Files: what is downloaded, read as a table, written, and what a result was computed by.

================  ======================================================================
atomic            a file that is written whole or not at all
downloads         published files and folders: the registry, one download, its hash
superalloy_files  case study 2: its data, read from the published folder
progress          a bar, or lines in a log
provenance        code and versions that a result came from
results           tables of data/results: what computed them, read and checked
optional          packages of the extras
================  ======================================================================
"""
