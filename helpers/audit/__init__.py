"""The audit: what a descriptor knows beside the controls, and verdicts on what the paper says."""
