"""What is particular to a car dealership. The rest of the gateway does not know that it sells cars."""
