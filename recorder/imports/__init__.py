"""What others have recorded, as a tape: a source is read once, staged on disk, and folded as if it had just passed."""
