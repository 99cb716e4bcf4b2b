"""What the application left becomes one own record per item, on the worker."""
