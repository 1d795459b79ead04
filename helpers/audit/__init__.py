"""The audit: what descriptors know beside simple controls, and verdicts on the paper.

============  ======================================================================
audit         an audit from descriptors to tables and flags
runs          its folds and cross-validations, one by one
controls      predictors that know no or little of the image
source_leak   how much of a gain hangs on knowing the source
tables        its tables, and the verdict on a difference in them
findings      checks of the paper's data, features and protocol, as numbers
studies       the audits of both case studies, kept in files
choices       what choosing the best of many costs; hardness dealt anew within sources
verdicts      the rule for the paper's conclusions, and the numbers it looks at
plots         figures of an audit, its intervals and learning curves
============  ======================================================================
"""
