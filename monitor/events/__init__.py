"""What happened, as records; and who is told.  Never decides anything."""
