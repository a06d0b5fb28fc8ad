"""What a sweep needs beyond its cases: a plan, its size, the crew that computes, a record of speed."""
