"""What it takes to give an image the look of another scanner, sensor or season, and to keep what it shows."""
