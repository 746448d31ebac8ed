"""Facts about Linux: numbers, names, layouts.  No input or output beyond reading our own tables, no policy."""
