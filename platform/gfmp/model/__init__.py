"""The encoder: packed tokens in, hidden states or masked-token scores out; torch only."""
