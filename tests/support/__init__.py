"""What several test modules share; typed like the library."""
