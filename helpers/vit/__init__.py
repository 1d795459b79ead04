"""Networks: from files to features of one batch, and where features are kept.

========  ======================================================================
networks  a network from a folder or with random weights, exactly as published
outputs   from what a network returns to features, and the proofs of these
weights   where the weights are, or how they get here
forward   batches through a network, on all cores or a GPU
store     matrices on disk, features above all, and the shards of unfinished ones
========  ======================================================================
"""
