"""The tokenizers that networks are trained with: BPE learned from text, or cut out of a larger tokenizer.

What most of the code needs is named here; reading, cutting and measuring large tokenizers is in the modules.
"""

from model.tokenizer.files import load_tokenizer, save
from model.tokenizer.pairs import END_OF_TEXT, END_OF_TEXT_ID, MAX_TOKENIZER_BYTES
from model.tokenizer.training import MIN_VOCABULARY_SIZE, train_tokenizer

__all__ = [
    "END_OF_TEXT",
    "END_OF_TEXT_ID",
    "MAX_TOKENIZER_BYTES",
    "MIN_VOCABULARY_SIZE",
    "load_tokenizer",
    "save",
    "train_tokenizer",
]
