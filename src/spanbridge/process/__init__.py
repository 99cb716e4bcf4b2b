"""What runs on the application's thread, at every span start and end, in about a microsecond."""
