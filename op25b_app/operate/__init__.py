"""What people see of a running controller."""
