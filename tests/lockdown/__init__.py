"""Breaking out of a locked service, from inside."""
