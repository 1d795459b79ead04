"""Beyond the paper: other learners and descriptors, networks trained end to end.

==============  ======================================================================
learners        learners on components of descriptors
learner_scores  their tuning and their scores
choice          a learner chosen inside the folds and scored outside them
counts          chord lengths, lineal path, clusters and topology as descriptors
descriptors     descriptors of a volume beside those of the paper
end_to_end      networks trained end to end on sections
occlusion       which parts of a section a prediction hangs on
plots           a figure of that
==============  ======================================================================
"""
