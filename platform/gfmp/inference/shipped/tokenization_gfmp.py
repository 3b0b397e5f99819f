"""The tokenizer of a vocabulary whose words overlap, or whose frame the sequence decides.

It spaces the words of a sequence and leaves the rest to `tokenizer.json`. Vocabularies whose file
reads DNA as it is need nothing of this; `transformers` reads them with its own class.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from .gfmp_network import spaced


class GfmpTokenizer(PreTrainedTokenizerFast):
    """Reads DNA, one sequence or a list of them."""

    def __call__(
        self,
        text: str | list[str],
        **named: Any,  # noqa: ANN401 - options of transformers
    ) -> Any:  # noqa: ANN401 - its batch
        """Return ids and attention mask of sequences."""
        # No __init__ keeps it: transformers rebuilds the tokenizers of classes that have one.
        how = self.init_kwargs["gfmp_words"]
        if isinstance(text, str):
            return super().__call__(spaced(text, how), **named)
        return super().__call__([spaced(one, how) for one in text], **named)

    def encode(
        self,
        text: str,
        **named: Any,  # noqa: ANN401 - options of transformers
    ) -> list[int]:
        """Return the ids of one sequence."""
        ids: list[int] = self(text, **named)["input_ids"]
        return ids
