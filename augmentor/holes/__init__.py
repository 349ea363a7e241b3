"""What is missing in a scene, and the classical answer to it."""
