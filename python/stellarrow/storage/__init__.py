"""Places that keep objects under keys, in a folder or in the cloud, behind one small seam."""
