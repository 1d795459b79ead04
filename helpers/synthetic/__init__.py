"""Making the embedded data: volumes and their elasticity, micrographs of alloys, hardness."""
