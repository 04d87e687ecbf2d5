"""What is permitted: the policy as frozen values, its file, and its specification in code."""
