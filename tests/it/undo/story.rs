//! The commands by the real binary, beside servers that serve what they do.
