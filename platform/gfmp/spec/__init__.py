"""The grammar of jobs/ and specs/: closed, frozen models and the loader that names every fault."""
