"""What is measured: entries, their weights and preprocessing, and the claims made about them."""
