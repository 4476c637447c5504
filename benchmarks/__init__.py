"""What we claim about speed, runnable: `python -m benchmarks` (or `make bench`).

Every row of the table measures ours beside something that a reader knows: a raw SQLite commit with fsync,
the same functions in a loop without durability, a bare Python. The two are interleaved in one process and
compared by medians, because a ratio survives a change of machine and a busy neighbour better than a number
does. Nothing here is a test: nobody's pull request turns red because a disk was slow.

One module per subject: `steps`, `store`, `waiting`, `killed`, `growth`, `starting`, `redaction`. `rows` names
them, `running` gives each a process of its own, `measuring` holds what they share, `report` turns lines into
tables.
"""
