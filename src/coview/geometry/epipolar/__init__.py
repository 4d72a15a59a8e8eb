"""Two views: relative poses, essential and fundamental matrices, and the graph of camera pairs."""
