"""The parts of a verification: rows and their chains, seals, what Redis holds as well."""
