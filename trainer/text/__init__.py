"""Text to batches: corpora, tokenizers, token shards, and the order in which a run reads them."""
