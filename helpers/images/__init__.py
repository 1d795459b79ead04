"""Images: reading micrographs from files, and the size of their pixels.

===========  ======================================================================
read         any image as grey or colour levels from 0 to 1, and how
folders      which files of a folder are images, what is said of the others
formats      how each file format is opened and decoded
pixel_size   pixel size, cut and scale of an image before a network
_tiff_sizes  what the tags of microscopes say of the pixel size
===========  ======================================================================
"""
