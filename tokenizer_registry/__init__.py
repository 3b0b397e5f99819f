"""Families of vocabularies: each module here is one, found without a list to edit."""
