"""What is measured beyond the paper, a script for each table of ``data/results/evidence``.

=================  ======================================================================
cells              many small computations, kept one by one, in as many processes as cores
comparisons        errors of several descriptors against those of one, paired
learning_curves    how many volumes frozen features need, and how many trained networks
rivals             networks, counts and learners under the paper's protocols
families           volumes unlike those that MicroViT was trained on
contrast           phases that differ less, and more
scale              what the size of a pixel is worth
components         what first components of alloys follow, and two regressions
section_count      what one section tells, and what all of them would
plots              figures of these tables
=================  ======================================================================
"""
