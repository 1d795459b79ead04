"""Networks: from files to features of one batch, and where features are kept.

===========  ===================================================================
networks     a network with random weights, and how it is run exactly as published
checkpoints  a network from its files, or why they are not those of one
outputs      from what a network returns to features, and the proofs of these
weights      where the weights are, or how they get here
forward      batches through a network, on all cores or a GPU
store        matrices on disk, features above all, and the shards of unfinished ones
===========  ===================================================================
"""
