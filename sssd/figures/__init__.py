"""The SED paper's figures, from a detector and labelled images, and what training sees."""
