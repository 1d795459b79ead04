"""Reading micrographs of any file type, and the size of their pixels."""
