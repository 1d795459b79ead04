"""MicroViT: pre-training on procedural microstructures, and what the network is worth.

===============  ======================================================================
microstructures  five families of two-phase structures
training_images  structures as grey images of a microscope
statistics       what is counted in an image of two phases
trainer          one step: student, teacher, head, optimiser
pretraining      the whole run, and shipping its result
probes           what the features tell while training goes on
measures         invariance, sensitivity and speed of features
attention        where a class token looks
evaluation       the table of all that was measured
===============  ======================================================================
"""
