"""Data of one's own as a task: where they lie, which columns are read, how answers are judged, what is wrong.

`own.make_task` is the door: flags of the command line, task files and Python go through it alike.
"""
