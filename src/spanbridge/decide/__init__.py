"""What becomes of a failure: an issue, a part of one, or a recovered attempt."""
