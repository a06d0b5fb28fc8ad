"""retrowalk beside other ways to compute the same thing, measured in turns on one machine."""
