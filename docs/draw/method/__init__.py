"""The method in pictures: one file a concept, each with ``draw`` and, as its docstring, the caption."""
