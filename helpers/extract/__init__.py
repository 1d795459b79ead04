"""Features of your own images: what `microprop extract` does.

==============  ======================================================================
tables          users' tables: text, .xlsx or .parquet
image_lists     the images of a folder, a pattern or a table
feature_tables  features in a file, with what they were computed from
depth           whether the grey levels of files mean the same: kinds, dark images, banners
scale           the scale at which images reach a network, in a set and beside a fitted one
ray_extract     the same on several processes or machines
remote_images   images in stores that are reached by an address
_workbooks      cells of a workbook as they are seen, and how many a table may have
==============  ======================================================================
"""
