"""What people start: the command lines, and the same from Python."""
