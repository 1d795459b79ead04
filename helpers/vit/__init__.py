"""Networks: their weights, one forward pass, and the store of what they computed."""
