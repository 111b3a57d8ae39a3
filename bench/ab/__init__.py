"""Base against head inside one run: two sides that take turns, and a verdict from their ratios."""
