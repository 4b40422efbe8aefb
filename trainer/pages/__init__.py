"""A run, an evaluation or a comparison as a page to read in a browser, and as figures for papers."""
