"""The gateway: one front door in the cloud, and the path of a request from it to an on-prem replica and back."""
