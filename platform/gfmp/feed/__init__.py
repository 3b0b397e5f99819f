"""From (seed, epoch, sample index) to masked tokens: sampling, cutting, masking, packing."""
