"""Beyond the paper: other learners and descriptors, networks trained from sections, occlusion."""
