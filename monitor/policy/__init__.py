"""From what a user wants to a program for the kernel: pure, on any machine, for any arch."""
