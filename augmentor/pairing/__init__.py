"""What a pair of tiles is made of: a region, two draws from one latent, and a blend of them."""
