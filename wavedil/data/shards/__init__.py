"""Shards: the codes of recordings in ArrayRecord files, of which any stretch is read without the rest.

SHARDS/
    prepared.json                          how the recordings were read, and in how many shards they are
    shard-00003-of-00016.array_record      recordings that follow each other in the listing
        records 0 .. n - 1                 one recording after the other: its codes in pieces, then its features, if any
        record n                           the index: JSON, see `Index`

A shard is complete or not there. Every record has a checksum, which is tested when it is read.
"""
