"""Pages: a shell drawn here, everything that moves by small modules of our own in `static`."""
