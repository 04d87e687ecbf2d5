"""Install flow rules on switches and verify them by reading the tables back.

A managed rule is one whose cookie is op25b's.
"""
