"""MicroViT: procedural microstructures, training on them, and what the network is worth."""
