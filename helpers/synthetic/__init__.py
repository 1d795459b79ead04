"""Synthetic data: how the embedded sets were made, and the elasticity of two phases.

==============  ======================================================================
volumes         two-phase volumes, and the embedded set of case study 1
families        two-phase volumes of other shapes: spheres, cells, minimal surfaces
elastic_fields  stress and strain in a volume, by FFT
elasticity      constants of the phases, and bounds on their mixture
homogenization  effective moduli of volumes
micrographs     pictures of precipitates, as an electron microscope gives them
hardness        hardness of an alloy from its composition and precipitates
alloys          the embedded set of case study 2
==============  ======================================================================
"""
