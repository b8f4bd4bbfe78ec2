"""What is personal data, who may see it, and the one capability without which nothing reaches the cloud."""
