"""What mulint knows of Python, torch and its friends: one row or one small function for each name."""
