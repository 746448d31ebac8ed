"""Where listeners come from: a program in, a listener out."""
