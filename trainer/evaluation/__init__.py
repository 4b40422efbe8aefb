"""Pass-rates on held-out problems, with intervals; win-rates against references."""
