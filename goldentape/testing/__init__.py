"""What tests stand on: an app served, a recorder in front of it, the verdict on its tape."""
