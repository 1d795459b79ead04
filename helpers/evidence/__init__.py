"""What is measured beyond the paper: tables of case studies 1 and 2, each by a script of its own.

=================  ======================================================================
cells              many small computations, kept one by one, in as many processes as cores
learning_curves    how many volumes frozen features need, and how many trained networks
=================  ======================================================================
"""
