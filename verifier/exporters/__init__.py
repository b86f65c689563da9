"""Views of a verdict, one file each."""
