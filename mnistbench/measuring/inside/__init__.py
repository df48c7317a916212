"""Everything that imports Keras or a framework: loaded by measuring processes alone."""
