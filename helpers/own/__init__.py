"""Models of your own images: what the other commands of `microprop` do.

============  ======================================================================
properties    a table of properties, sources and composition
models        a model of one property, with its audit
model_files   a model as a folder
study         from files to files: fit and predict
report        a fitted model and its samples as one page, from report.html
citations     references of what was used
doctor        what is on this machine, and fetching what is not
plots         figures of it
messages      arguments in messages as options
cli           the command line
============  ======================================================================
"""
