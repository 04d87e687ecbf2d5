"""op25b and its peers, measured side by side in one run: ``.venv/bin/python -m benchmarks``."""
