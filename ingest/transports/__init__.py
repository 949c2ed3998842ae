"""Ways in which objects reach us: folders, buckets, the queues that announce them, and paged HTTP APIs."""
