"""Checkpoints: weights and optimizer as safetensors, progress as JSON, in a folder that appears whole or not at all."""
